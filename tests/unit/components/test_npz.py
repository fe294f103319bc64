"""Arrays of a .npz as columns: what their rows become, and every way in which they can be wrong."""

import math
import zipfile

import numpy as np
import pytest
import tensorflow as tf

from components.example_gen import npz
from components.example_gen.config import NpzConfig
from components.example_gen.npz import NpzSource
from components.example_gen.source import BadRow, DataError, Row

HASHED = ("train", "eval", "test")
RNG = np.random.default_rng(0)
SAVES = {"stored": np.savez, "compressed": np.savez_compressed}


@pytest.fixture
def save(tmp_path):
    def make(save=np.savez, **arrays):
        save(tmp_path / "data.npz", **arrays)
        return tmp_path / "data.npz"

    return make


def source(path, label="y"):
    return NpzSource(NpzConfig(source="npz", path=str(path), label=label))


def features(path, label="y"):
    rows = list(source(path, label).rows())
    assert all(isinstance(row, Row) for row in rows), rows
    return [row.features for row in rows]


def bad_row(path, label="y"):
    (bad,) = [row for row in source(path, label).rows() if isinstance(row, BadRow)]
    return bad


def error(path, label="y"):
    with pytest.raises(DataError) as caught:
        source(path, label).check()
    return str(caught.value)


@pytest.mark.parametrize("chunk", [1, 100, 1 << 22])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("how", SAVES)
def test_rows_when_read_then_are_what_all_arrays_hold_at_an_index(
    how, order, chunk, save, monkeypatch
):
    monkeypatch.setattr(npz, "_CHUNK", chunk)
    arrays = {
        "f": np.asarray(RNG.normal(size=(9, 3)).astype(np.float32), order=order),
        "d": RNG.normal(size=9),
        "i": np.asarray(RNG.integers(-9, 9, (9, 2)), order=order),
        "u": RNG.integers(0, 9, 9, np.uint8),
        "big": RNG.integers(0, 9, 9).astype(">i4"),
        "b": RNG.integers(0, 2, 9).astype(bool),
        "t": np.array(["a", "b\u00e9", "c"] * 3),
        "tt": np.array([["a", "bc"]] * 9).astype(">U2"),
        "s": np.array(["a", "b\u00e9", "c"] * 3).astype("U2"),
        "bytes": np.array([b"a", "b\u00e9".encode(), b"c"] * 3),
        "y": RNG.integers(0, 3, (9, 1)),
    }
    found = source(save(SAVES[how], **arrays))
    found.check()
    assert found.columns == tuple(arrays)
    assert found.class_names is None
    assert found.row_counts() == {HASHED: 9}
    rows = list(found.rows())
    assert {row.splits for row in rows} == {HASHED}
    for name, array in arrays.items():
        column = [row.features[name] for row in rows]
        if name == "bytes":
            assert column == ["a", "b\u00e9", "c"] * 3
            continue
        expected = array[:, 0] if name == "y" else array
        assert column == expected.tolist(), name
    kinds = {name: type(value) for name, value in rows[0].features.items()}
    assert kinds == {
        **dict.fromkeys(("f", "i", "tt"), list),
        **dict.fromkeys(("u", "big", "b", "y"), int),
        **dict.fromkeys(("t", "s", "bytes"), str),
        "d": float,
    }


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 1), (4, 5, 3), (4, 5, 4)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_rows_when_an_array_is_of_pictures_then_they_are_png(order, shape, save):
    x = np.asarray(RNG.integers(0, 256, (6, *shape), np.uint8), order=order)
    rows = features(save(x=x, y=np.arange(6)))
    for row, picture in zip(rows, x, strict=True):
        decoded = tf.io.decode_png(row["x"]).numpy()
        np.testing.assert_array_equal(decoded, picture.reshape(4, 5, -1))


def test_rows_when_names_are_of_splits_then_are_the_columns_of_these(save):
    """As Keras' mnist.npz, its arrays in any order."""
    arrays = {
        "x_test": RNG.integers(0, 256, (2, 4, 4), np.uint8),
        "x_train": RNG.integers(0, 256, (5, 4, 4), np.uint8),
        "y_train": RNG.integers(0, 3, 5, np.uint8),
        "y_test": RNG.integers(0, 3, 2, np.uint8),
    }
    found = source(save(**arrays))
    found.check()
    assert sorted(found.columns) == ["x", "y"]
    assert found.row_counts() == {("train", "eval"): 5, ("test",): 2}
    rows = {}
    for row in found.rows():
        rows.setdefault(row.splits, []).append(row.features)
    for split, name in ((("train", "eval"), "train"), (("test",), "test")):
        assert [row["y"] for row in rows[split]] == arrays[f"y_{name}"].tolist()
        decoded = np.stack([tf.io.decode_png(row["x"])[..., 0] for row in rows[split]])
        np.testing.assert_array_equal(decoded, arrays[f"x_{name}"])


@pytest.mark.parametrize("name", ["eval", "val", "valid"])
def test_rows_when_there_is_an_eval_split_then_it_goes_by_any_of_its_names(name, save):
    found = source(save(**{f"y_{name}": np.arange(2), "y_train": np.arange(9)}))
    assert found.row_counts() == {("eval",): 2, ("train", "test"): 9}


def test_rows_when_not_all_names_are_of_splits_then_they_are_columns(save):
    found = source(save(x_train=np.arange(3), x_test=np.arange(3), y=np.arange(3)))
    assert found.columns == ("x_train", "x_test", "y")
    assert found.row_counts() == {HASHED: 3}


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_rows_when_a_number_is_not_one_then_the_feature_is_missing(dtype, save):
    path = save(x=np.array([1, np.nan, 2], dtype), y=np.arange(3))
    assert features(path) == [{"x": 1.0, "y": 0}, {"y": 1}, {"x": 2.0, "y": 2}]


FINITE = "finite numbers, of at most 3.4e+38"


@pytest.mark.parametrize(
    ("column", "values", "found", "allowed"),
    [
        ("y", [0.5, math.nan, 1], "nan", "a finite number, as it is the label"),
        ("y", [0.5, -math.inf, 1], "-inf", FINITE),
        ("x", [0.5, math.inf, 1], "inf", FINITE),
        ("x", [0.5, 1e39, 1], "1e+39", FINITE),
        ("x", [[1, 2], [3, math.nan], [4, 5]], "nan at position 1 of 2", FINITE),
        ("x", np.array([1, 2**63, 2], np.uint64), str(2**63), f"integers up to {2**63 - 1}"),
        ("y", ["a", "", "b"], "an empty text", "a text, as it is the label"),
        ("x", [b"a", b"caf\xe9", b"c"], "b'caf\\xe9'", "text in UTF-8"),
        ("x", ["a", "\ud800", "b"], "text with half a character", "text of whole characters"),
    ],
    ids=str,
)
def test_rows_when_a_value_cannot_be_used_then_is_a_bad_row_and_the_others_follow(
    column, values, found, allowed, save
):
    path = save(**{"x": np.arange(3), "y": np.arange(3), column: np.array(values)})
    source(path).check()
    rows = list(source(path).rows())
    assert rows[1] == BadRow(f"{path}: {column}: row 2", column, found, allowed)
    assert [type(row) for row in rows] == [Row, BadRow, Row]


def test_rows_when_text_holds_what_is_no_character_then_is_a_bad_row(save):
    texts = np.array([0x41, 0x110000], np.uint32).view("U1")
    bad = bad_row(save(x=texts, y=np.arange(2)))
    assert bad.found == "text with half a character"


def test_class_names_when_labels_are_text_then_are_those_of_train_and_others_are_bad_rows(save):
    path = save(
        y_train=np.array(["dog", "cat", "", "dog"]), y_test=np.array([b"cat", b"ape", b"dog"])
    )
    assert source(path).class_names == ("cat", "dog")
    bad = [row for row in source(path).rows() if isinstance(row, BadRow)]
    assert [row[:4] for row in bad] == [
        (f"{path}: y_train: row 3", "y", "an empty text", "a text, as it is the label"),
        (f"{path}: y_test: row 2", "y", "'ape'", "the classes of train: cat, dog"),
    ]


@pytest.mark.parametrize(
    ("arrays", "problem"),
    [
        ({"x": np.arange(4)}, ": y: 3 rows; allowed: 4, as x has"),
        (
            {"x": np.array([{}, [], 1], object)},
            ": x: Python objects, which are pickled; allowed: n",
        ),
        ({"x": np.zeros(3, complex)}, ": x: complex128 [3]; allowed: numbers, booleans or text"),
        ({"x": np.zeros(3, "M8[s]")}, ": x: datetime64[s] [3]; allowed: numbers, booleans or text"),
        ({"x": np.zeros(3, [("a", "i4")])}, ": x: [('a', '<i4')] [3]; allowed: numbers, booleans"),
        ({"x": np.zeros((3, 2, 2))}, ": x: float64 [3, 2, 2]; allowed: numbers or text [n] or [n"),
        ({"x": np.zeros((3, 2, 2, 2), np.uint8)}, ": x: uint8 [3, 2, 2, 2]; allowed: numbers or "),
        ({"x": np.float32(5)}, ": x: float32 []; allowed: one row or more, of one value or more"),
        ({"x": np.zeros((3, 0))}, ": x: float64 [3, 0]; allowed: one row or more, of one value"),
        ({"y": np.zeros((3, 2))}, ": y: float64 [3, 2]; allowed: a label a row: [n] or [n, 1]"),
        ({"y": np.zeros((3, 2, 2), np.uint8)}, ": y: uint8 [3, 2, 2]; allowed: a label a row: [n]"),
    ],
    ids=str,
)
def test_check_when_an_array_is_wrong_then_names_it(arrays, problem, save):
    path = save(**{"x": np.arange(3), "y": np.arange(3), **arrays})
    assert error(path).startswith(f"{path}{problem}")


@pytest.mark.parametrize(
    ("arrays", "problem"),
    [
        ({"x_test": np.arange(3)}, ": x_test: 3 rows; allowed: 2, as y_test has"),
        ({"z_test": np.arange(2)}, ": x, z in one split only; allowed: each column in each split;"),
        (
            {},
            ": x in one split only; allowed: each column in each split; found the arrays x_train,",
        ),
        ({"x_test": np.array(["a", "b"])}, ": x_test: <U1 [2]; allowed: as x_train: int64 [4]"),
        (
            {"x_test": np.zeros((2, 3), int)},
            ": x_test: int64 [2, 3]; allowed: as x_train: int64 [4]",
        ),
        (
            {"x_test": np.zeros((2, 3, 3), np.uint8)},
            ": x_test: uint8 [2, 3, 3]; allowed: as x_train: int64 [4]",
        ),
        (
            {"x_eval": np.arange(2), "x_val": np.arange(2)},
            ": x_val: it and x_eval; allowed: one of them",
        ),
    ],
    ids=str,
)
def test_check_when_splits_do_not_go_together_then_says_so(arrays, problem, save):
    train = {"x_train": np.arange(4), "y_train": np.arange(4)}
    path = save(**train, y_test=np.arange(2), **arrays)
    assert error(path).startswith(f"{path}{problem}")


class Marks:
    """Pickled as a command that leaves a file."""

    def __init__(self, path):
        self._path = path

    def __reduce__(self):
        import os

        return os.system, (f"touch {self._path}",)


def test_check_when_an_array_is_a_hostile_pickle_then_nothing_runs(save, tmp_path):
    path = save(x=np.array([Marks(tmp_path / "mark")] * 3, object), y=np.arange(3))
    assert "x: Python objects, which are pickled; allowed: numbers" in error(path)
    with pytest.raises(DataError):
        list(source(path).rows())
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", ": no archive of arrays that can be read to its end ("),
        (b"\x93NUMPY\x01\x00", ": no archive of arrays that can be read to its end ("),
    ],
)
def test_check_when_it_is_no_archive_then_says_so(content, problem, tmp_path):
    path = tmp_path / "data.npz"
    path.write_bytes(content)
    assert error(path).startswith(f"{path}{problem}")
    assert error(path).endswith("; allowed: a .npz, as numpy.savez writes it")
    assert error(tmp_path / "no").startswith(f"{tmp_path}/no: no such file; allowed: a .npz")
    assert error(tmp_path).startswith(f"{tmp_path}: a folder; allowed: a .npz")


def member(header, content=b"", version=b"\1\0"):
    text = header.encode() + b"\n"
    return b"\x93NUMPY" + version + len(text).to_bytes(2, "little") + text + content


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("x.txt", b"hello", ": x.txt: no array; allowed: arrays, as .npy"),
        ("y.npy", b"", ": y.npy: it twice; allowed: each array once"),
        ("x.npy", b"", ": no archive of arrays that can be read to its end ("),
        ("x.npy", b"PK" * 20, ": no archive of arrays that can be read to its end ("),
        ("x.npy", member("{}", version=b"\3\0"), ": x: the version (3, 0) of .npy; allowed: "),
        ("x.npy", member("{'a': 1}"), ": no archive of arrays that can be read to its end ("),
        ("x.npy", member("__import__('os')"), ": no archive of arrays that can be read to its en"),
        (
            "x.npy",
            member("{'descr': '<i8', 'fortran_order': False, 'shape': (3,)}", bytes(23)),
            ": x: 89 bytes; allowed: 90, as its header says",
        ),
        (
            "x.npy",
            member("{'descr': '<i8', 'fortran_order': False, 'shape': (99999999999999,)}"),
            ": x: 79 bytes; allowed: 800000000000071, as its header says",
        ),
        (
            "x.npy",
            member("{'descr': '<i8', 'fortran_order': False, 'shape': (-3,)}"),
            ": x: int64 [-3]; allowed: one row or more",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_check_when_a_member_is_wrong_then_names_it(name, content, problem, save):
    path = save(y=np.arange(3))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, content)
    assert error(path).startswith(f"{path}{problem}")


def test_check_when_an_archive_is_empty_then_says_so(tmp_path):
    path = tmp_path / "data.npz"
    with zipfile.ZipFile(path, "w"):
        pass
    assert error(path) == f"{path}: no arrays; allowed: a .npz, as numpy.savez writes it"


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("how", SAVES)
def test_rows_when_an_array_is_damaged_then_says_so(how, order, save):
    x = np.asarray(RNG.normal(size=(400, 5)), order=order)
    path = save(SAVES[how], x=x, y=np.arange(400))
    content = bytearray(path.read_bytes())
    content[9_000:9_008] = b"damaged!"
    path.write_bytes(content)
    source(path).check()
    with pytest.raises(DataError, match="no archive of arrays that can be read to its end"):
        list(source(path).rows())


def test_fingerprint_when_the_file_changes_then_is_another(save):
    before = source(save(y=np.arange(3))).fingerprint()
    assert source(save(y=np.arange(4))).fingerprint() != before
