"""CIFAR-10's binary version: records as pictures, and every way in which its files can be wrong."""

import numpy as np
import pytest
import tensorflow as tf

from components.example_gen.cifar10_binary import RECORD, Cifar10BinarySource
from components.example_gen.config import Cifar10BinaryConfig
from components.example_gen.source import BadRow, DataError

NAMES = ("airplane", "automobile", "bird")
BATCHES = [*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"]
RNG = np.random.default_rng(0)
RECORDS = {
    name: np.concatenate(
        [RNG.integers(0, 3, (4, 1)), RNG.integers(0, 256, (4, RECORD - 1))], axis=1
    ).astype(np.uint8)
    for name in BATCHES
}
FILES = {name: records.tobytes() for name, records in RECORDS.items()}
FILES["batches.meta.txt"] = "\n".join([*NAMES, ""]).encode()


def source(path):
    return Cifar10BinarySource(Cifar10BinaryConfig(source="cifar10_binary", path=str(path)))


def error(path):
    with pytest.raises(DataError) as caught:
        source(path).check()
    return str(caught.value)


@pytest.mark.parametrize("kind", ["folder", "data.tar.gz", "data.tar"])
def test_rows_when_read_then_are_lossless_pictures_and_the_names_of_their_classes(
    kind, write_folder, write_tar
):
    inside = {f"cifar-10-batches-bin/{name}": content for name, content in FILES.items()}
    inside["cifar-10-batches-bin/readme.html"] = b"<html>"
    root = write_folder(FILES) if kind == "folder" else write_tar(inside, kind)
    found = source(root)
    found.check()
    assert found.class_names == NAMES
    assert found.columns == ("image", "label")
    rows = list(found.rows())
    records = np.concatenate(list(RECORDS.values()))
    assert len(rows) == len(records) == 24
    for row, record in zip(rows, records, strict=True):
        assert row.features["label"] == NAMES[record[0]]
        pixels = tf.io.decode_png(row.features["image"]).numpy()
        np.testing.assert_array_equal(pixels[..., 0].reshape(-1), record[1:1025])
        np.testing.assert_array_equal(pixels[..., 2].reshape(-1), record[2049:])
        assert pixels[3, 5, 1] == record[1 + 1024 + 3 * 32 + 5], "green, row by row"
    assert [row.splits for row in rows] == [("train", "eval")] * 20 + [("test",)] * 4
    assert found.row_counts() == {("train", "eval"): 20, ("test",): 4}


@pytest.mark.parametrize("missing", ["data_batch_3.bin", "test_batch.bin", "batches.meta.txt"])
def test_check_when_a_file_is_missing_then_names_it_and_where_the_data_are(missing, write_folder):
    root = write_folder({name: file for name, file in FILES.items() if name != missing})
    found = error(root)
    assert found.startswith(f"{root}: no {missing}; allowed: the folder or .tar.gz of CIFAR-10's")
    assert "https://www.cs.toronto.edu/~kriz/cifar.html" in found


@pytest.mark.parametrize("size", [0, 1, RECORD - 1, 2 * RECORD + 1])
def test_check_when_a_file_does_not_hold_whole_records_then_names_it(size, write_folder):
    root = write_folder({**FILES, "data_batch_2.bin": bytes(size)})
    assert error(root) == (
        f"{root}/data_batch_2.bin: {size} bytes; "
        "allowed: records of 3073 bytes: a class and 3072 values of pixels"
    )


@pytest.mark.parametrize(
    ("meta", "found"),
    [
        (b"cat\ndog\ncat\n", "cat twice"),
        (b"\n\n", "no names"),
        (b"caf\xe9\n", "'utf-8' codec"),
    ],
)
def test_check_when_the_names_are_wrong_then_says_so(meta, found, write_folder):
    root = write_folder({**FILES, "batches.meta.txt": meta})
    assert error(root).startswith(f"{root}/batches.meta.txt: {found}")


def test_check_when_a_file_is_there_twice_then_names_it(write_folder):
    root = write_folder({**FILES, "more/test_batch.bin": FILES["test_batch.bin"]})
    assert error(root) == f"{root}/more/test_batch.bin: it twice; allowed: each file once"


def test_check_when_there_is_nothing_then_says_where_the_data_are(tmp_path):
    found = error(tmp_path / "nowhere")
    assert found.startswith(f"{tmp_path}/nowhere: no such file or folder; allowed: the folder or")
    assert "https://www.cs.toronto.edu/~kriz/cifar.html" in found


def test_rows_when_a_record_is_of_no_class_then_is_a_bad_row(write_folder):
    records = RECORDS["data_batch_4.bin"].copy()
    records[2, 0] = 3
    root = write_folder({**FILES, "data_batch_4.bin": records.tobytes()})
    rows = list(source(root).rows())
    (bad,) = [row for row in rows if isinstance(row, BadRow)]
    assert bad[:4] == (
        f"{root}/data_batch_4.bin: record 3",
        "label",
        "class 3",
        "0 to 2, the names in batches.meta.txt",
    )
    assert rows.index(bad) == 14
    assert len(rows) == 24


def test_fingerprint_when_a_file_changes_then_is_another(write_folder):
    before = source(write_folder(FILES)).fingerprint()
    root = write_folder({**FILES, "data_batch_1.bin": FILES["data_batch_1.bin"][:RECORD]})
    assert source(root).fingerprint() != before
