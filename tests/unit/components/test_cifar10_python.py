"""CIFAR-10's python version: batches as pictures, and every way in which they can be wrong."""

import os
import pickle

import numpy as np
import pytest
import tensorflow as tf

from components.example_gen import cifar10_python
from components.example_gen.cifar10_python import Cifar10PythonSource
from components.example_gen.config import Cifar10PythonConfig
from components.example_gen.source import BadRow, DataError

NAMES = ("airplane", "automobile", "bird")
BATCHES = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
RNG = np.random.default_rng(0)
CONTENT = {
    name: {
        b"data": RNG.integers(0, 256, (4, 3072), np.uint8),
        b"labels": RNG.integers(0, 3, 4).tolist(),
        b"filenames": [b"a.png"] * 4,
    }
    for name in BATCHES
} | {"batches.meta": {b"label_names": [name.encode() for name in NAMES], b"num_vis": 3072}}


def pickled(content, protocol=2):
    return {name: pickle.dumps(value, protocol=protocol) for name, value in content.items()}


def source(path):
    return Cifar10PythonSource(Cifar10PythonConfig(source="cifar10_python", path=str(path)))


def error(path):
    with pytest.raises(DataError) as caught:
        source(path).check()
    return str(caught.value)


def check_rows(found):
    found.check()
    assert found.class_names == NAMES
    assert found.columns == ("image", "label")
    rows = list(found.rows())
    pixels = np.concatenate([CONTENT[name][b"data"] for name in BATCHES])
    labels = [label for name in BATCHES for label in CONTENT[name][b"labels"]]
    assert [row.features["label"] for row in rows] == [NAMES[label] for label in labels]
    for row, values in zip(rows, pixels, strict=True):
        image = tf.io.decode_png(row.features["image"]).numpy()
        np.testing.assert_array_equal(np.moveaxis(image, -1, 0).reshape(-1), values)
    assert [row.splits for row in rows] == [("train", "eval")] * 20 + [("test",)] * 4
    assert found.row_counts() == {("train", "eval"): 20, ("test",): 4}


@pytest.mark.parametrize("kind", ["folder", "data.tar.gz", "data.tar"])
def test_rows_when_read_then_are_lossless_pictures_and_the_names_of_their_classes(
    kind, write_folder, write_tar
):
    inside = {f"cifar-10-batches-py/{name}": file for name, file in pickled(CONTENT).items()}
    inside["cifar-10-batches-py/readme.html"] = b"<html>"
    check_rows(source(write_folder(inside) if kind == "folder" else write_tar(inside, kind)))


@pytest.mark.parametrize("protocol", [0, 5])
def test_rows_when_keys_are_text_then_are_the_same(protocol, write_folder):
    content = {
        name: {key.decode(): value for key, value in values.items()}
        for name, values in CONTENT.items()
    }
    content["batches.meta"]["label_names"] = list(NAMES)
    check_rows(source(write_folder(pickled(content, protocol))))


class Command:
    def __init__(self, command):
        self._command = command

    def __reduce__(self):
        return os.system, (self._command,)


@pytest.mark.parametrize("name", ["data_batch_2", "test_batch", "batches.meta"])
@pytest.mark.parametrize("whole", [True, False])
def test_check_when_a_pickle_would_run_a_command_then_it_does_not_run_and_is_named(
    whole, name, write_folder, tmp_path
):
    command = Command(f"touch {tmp_path}/mark")
    hostile = command if whole else {**CONTENT[name], b"more": [command]}
    root = write_folder(pickled({**CONTENT, name: hostile}))
    found = error(root)
    assert found.startswith(f"{root}/{name}: a pickle that would call 'posix.system', which is not")
    assert not (tmp_path / "mark").exists()
    with pytest.raises(DataError, match=r"posix\.system"):
        list(source(root).rows())
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("missing", ["data_batch_3", "test_batch", "batches.meta"])
def test_check_when_a_file_is_missing_then_names_it_and_where_the_data_are(missing, write_folder):
    root = write_folder({n: file for n, file in pickled(CONTENT).items() if n != missing})
    found = error(root)
    assert found.startswith(f"{root}: no {missing}; allowed: the folder or .tar.gz of CIFAR-10's")
    assert "https://www.cs.toronto.edu/~kriz/cifar.html" in found


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({b"data": np.zeros((4, 3073), np.uint8)}, ": data: uint8 [4, 3073]; allowed: uint8 [n, 3"),
        ({b"data": np.zeros((0, 3072), np.uint8)}, ": data: uint8 [0, 3072]; allowed: uint8 [n, 3"),
        ({b"data": np.zeros(3072, np.uint8)}, ": data: uint8 [3072]; allowed: uint8 [n, 3072]"),
        ({b"data": np.zeros((4, 3072))}, ": data: an array of other than uint8; allowed: uint8"),
        ({b"data": [1, 2]}, ": data: a list that is no array; allowed: uint8 [n, 3072]"),
        ({b"labels": [0, 1, 2]}, ": labels: 3 labels; allowed: a list of 4, one a picture of data"),
        ({b"labels": (0, 1, 2, 0)}, ": labels: a tuple; allowed: a list of 4, one a picture"),
    ],
    ids=str,
)
def test_check_when_a_batch_is_wrong_then_names_it(change, problem, write_folder):
    batch = {**CONTENT["data_batch_2"], **change}
    root = write_folder(pickled({**CONTENT, "data_batch_2": batch}, protocol=4))
    assert error(root).startswith(f"{root}/data_batch_2{problem}")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ([1, 2], ": a list; allowed: a pickled dict of data, labels"),
        ({b"data": 1}, ": no labels; allowed: a pickled dict of data, labels"),
        ({b"fine_labels": 1}, ": no data; allowed: a pickled dict of data, labels"),
    ],
)
def test_check_when_a_pickle_holds_something_else_then_names_it(content, problem, write_folder):
    root = write_folder(pickled({**CONTENT, "test_batch": content}))
    assert error(root) == f"{root}/test_batch{problem}"


@pytest.mark.parametrize("size", [0, 5, 500, -5])
def test_check_when_a_file_is_cut_short_then_names_it(size, write_folder):
    files = pickled(CONTENT)
    root = write_folder({**files, "data_batch_2": files["data_batch_2"][:size]})
    found = error(root)
    assert found.startswith(f"{root}/data_batch_2: ")
    assert found.endswith("; allowed: a pickled dict of data, labels")


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        ([b"cat", b"dog", b"cat"], "cat twice; allowed: the names of the classes, each once"),
        ([], "no names; allowed: the names of the classes, each once"),
        (b"cat dog", "label_names: a bytes; allowed: a list of names"),
        ([b"cat", 5], "label_names: a list of other than text; allowed: a list of names"),
        ([b"caf\xe9"], "'utf-8' codec"),
    ],
    ids=str,
)
def test_check_when_the_names_are_wrong_then_says_so(names, problem, write_folder):
    root = write_folder(pickled({**CONTENT, "batches.meta": {b"label_names": names}}))
    assert error(root).startswith(f"{root}/batches.meta: {problem}")


def test_check_when_a_file_is_larger_than_any_then_it_is_not_read(write_folder, monkeypatch):
    monkeypatch.setattr(cifar10_python, "_LARGEST", 10_000)
    root = write_folder({**pickled(CONTENT), "data_batch_1": bytes(10_001)})
    assert error(root) == f"{root}/data_batch_1: 10001 bytes; allowed: at most 10000"


@pytest.mark.parametrize("label", [3, -1, 1.5, None, True, b"cat"])
def test_rows_when_a_label_is_of_no_class_then_is_a_bad_row(label, write_folder):
    batch = {**CONTENT["data_batch_4"], b"labels": [0, 1, label, 2]}
    root = write_folder(pickled({**CONTENT, "data_batch_4": batch}))
    found = source(root)
    found.check()
    rows = list(found.rows())
    (bad,) = [row for row in rows if isinstance(row, BadRow)]
    assert bad[:4] == (
        f"{root}/data_batch_4: record 3",
        "label",
        f"class {label!r}",
        "0 to 2, the names in batches.meta",
    )
    assert len(rows) == 24


def test_fingerprint_when_a_file_changes_then_is_another(write_folder):
    files = pickled(CONTENT)
    before = source(write_folder(files)).fingerprint()
    root = write_folder({**files, "data_batch_1": files["data_batch_1"] + b" "})
    assert source(root).fingerprint() != before
