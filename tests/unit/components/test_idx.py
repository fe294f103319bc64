"""MNIST's IDX files: values as pictures, and every way in which the files can be wrong."""

import gzip
import struct

import numpy as np
import pytest
import tensorflow as tf

from components.example_gen import idx
from components.example_gen.config import IdxConfig
from components.example_gen.idx import IdxSource
from components.example_gen.source import BadRow, DataError

RNG = np.random.default_rng(0)
ARRAYS = {
    "train-images-idx3-ubyte": RNG.integers(0, 256, (7, 5, 3), np.uint8),
    "train-labels-idx1-ubyte": np.array([9, 2, 10, 2, 9, 9, 10], np.uint8),
    "t10k-images-idx3-ubyte": RNG.integers(0, 256, (2, 5, 3), np.uint8),
    "t10k-labels-idx1-ubyte": np.array([10, 2], np.uint8),
}


def encoded(array, magic=None, shape=None):
    magic = bytes([0, 0, 8, array.ndim]) if magic is None else magic
    shape = array.shape if shape is None else shape
    return magic + struct.pack(f">{len(shape)}I", *shape) + array.tobytes()


FILES = {name: encoded(array) for name, array in ARRAYS.items()}
ZIPPED = {f"{name}.gz": gzip.compress(file, mtime=0) for name, file in FILES.items()}
IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


def source(path, classes=None):
    return IdxSource(IdxConfig(source="idx", path=str(path), classes=classes))


def error(path):
    with pytest.raises(DataError) as caught:
        source(path).check()
    return str(caught.value)


@pytest.mark.parametrize("chunk", [1, 31, 1 << 22])
@pytest.mark.parametrize("files", [FILES, ZIPPED], ids=["plain", "gz"])
def test_rows_when_read_then_are_lossless_grey_pictures_and_their_labels_as_text(
    files, chunk, write_folder, monkeypatch
):
    monkeypatch.setattr(idx, "_CHUNK", chunk)
    found = source(write_folder({**files, "README": b"about it"}))
    found.check()
    assert found.columns == ("image", "label")
    assert found.class_names == ("2", "9", "10"), "in the order of numbers"
    rows = list(found.rows())
    labels = [row.features["label"] for row in rows]
    assert labels == ["9", "2", "10", "2", "9", "9", "10", "10", "2"]
    pixels = np.concatenate([ARRAYS[IMAGES], ARRAYS["t10k-images-idx3-ubyte"]])
    for row, picture in zip(rows, pixels, strict=True):
        np.testing.assert_array_equal(
            tf.io.decode_png(row.features["image"]), picture[..., np.newaxis]
        )
    assert [row.splits for row in rows] == [("train", "eval")] * 7 + [("test",)] * 2
    assert found.row_counts() == {("train", "eval"): 7, ("test",): 2}


def test_rows_when_classes_have_names_then_are_labelled_with_them(write_folder):
    files = {**FILES, LABELS: encoded(np.array([0, 2, 1, 1, 0, 2, 0], np.uint8))}
    files["t10k-labels-idx1-ubyte"] = encoded(np.array([1, 0], np.uint8))
    found = source(write_folder(files), ["coat", "shirt", "boot"])
    assert found.class_names == ("coat", "shirt", "boot")
    labels = [row.features["label"] for row in found.rows()]
    assert labels == ["coat", "boot", "shirt", "shirt", "coat", "boot", "coat", "shirt", "coat"]


@pytest.mark.parametrize(
    ("classes", "labels", "allowed"),
    [
        (None, [10, 3], "the classes: 2, 9, 10"),
        ([str(i) for i in range(11)], [10, 11], "the classes: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10"),
    ],
)
def test_rows_when_a_label_is_of_no_class_then_is_a_bad_row(classes, labels, allowed, write_folder):
    file = encoded(np.array(labels, np.uint8))
    root = write_folder({**FILES, "t10k-labels-idx1-ubyte": file})
    found = source(root, classes)
    found.check()
    *good, bad = found.rows()
    where = f"{root}/t10k-labels-idx1-ubyte: record 2"
    assert bad == BadRow(where, "label", f"class {labels[1]}", allowed)
    assert len(good) == 8
    assert not any(isinstance(row, BadRow) for row in good)


@pytest.mark.parametrize("missing", FILES)
def test_check_when_a_file_is_missing_then_names_it_and_where_the_data_are(missing, write_folder):
    root = write_folder({name: file for name, file in FILES.items() if name != missing})
    found = error(root)
    assert found.startswith(f"{root}: no {missing} or {missing}.gz; allowed: a folder of MNIST's")
    assert "http://yann.lecun.com/exdb/mnist/" in found


def test_check_when_there_is_no_folder_then_says_what_should_be(write_folder):
    root = write_folder({"x": b"x"})
    assert error(root / "x").startswith(f"{root}/x: a file; allowed: a folder of MNIST's IDX files")
    assert error(root / "y").startswith(f"{root}/y: no such folder; allowed: a folder of MNIST's")


def test_check_when_a_file_is_there_twice_then_names_it(write_folder):
    root = write_folder({**FILES, f"{IMAGES}.gz": ZIPPED[f"{IMAGES}.gz"]})
    assert error(root) == f"{root}/{IMAGES}.gz: it and the plain file; allowed: one of them"


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        (IMAGES, b"", "a file that starts with ; allowed: 00 00 08 03, an IDX file of bytes [3]"),
        (IMAGES, FILES[LABELS], "a file that starts with 00 00 08 01; allowed: 00 00 08 03, an"),
        (LABELS, FILES[IMAGES], "a file that starts with 00 00 08 03; allowed: 00 00 08 01, an"),
        (IMAGES, b"\0\0\x0d\3" + bytes(99), "a file that starts with 00 00 0d 03; allowed: 00 00"),
        (IMAGES, b"\x89PNG", "a file that starts with 89 50 4e 47; allowed: 00 00 08 03, an IDX"),
        (IMAGES, FILES[IMAGES][:9], "9 bytes; allowed: a header of 16"),
        (IMAGES, FILES[IMAGES][:-1], "120 bytes; allowed: 121, as its header says"),
        (IMAGES, FILES[IMAGES] + b"x", "122 bytes; allowed: 121, as its header says"),
        (LABELS, FILES[LABELS][:-2], "13 bytes; allowed: 15, as its header says"),
        (LABELS, encoded(ARRAYS[LABELS][:5]), f"5 labels; allowed: 7, one a picture of {IMAGES}"),
        (LABELS, encoded(ARRAYS[LABELS][:0]), "no rows; allowed: a row or more"),
        (LABELS, encoded(np.full(7, 4, np.uint8)), "the label 4 alone; allowed: two classes or"),
        (
            IMAGES,
            encoded(np.zeros((7, 0, 3), np.uint8)),
            "pictures of 0 x 3; allowed: pictures of 1 to 4096 pixels a side",
        ),
        (
            IMAGES,
            encoded(np.zeros((7, 1, 4097), np.uint8)),
            "pictures of 1 x 4097; allowed: pictures of 1 to 4096 pixels a side",
        ),
    ],
)
def test_check_when_a_file_is_wrong_then_names_it(name, content, problem, write_folder):
    root = write_folder({**FILES, name: content})
    assert error(root).startswith(f"{root}/{name}: {problem}")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (
            gzip.compress(FILES[IMAGES][:-1], mtime=0),
            "a file that ends in row 7; allowed: 7 rows, as its",
        ),
        (
            gzip.compress(FILES[IMAGES][:20], mtime=0),
            "a file that ends in row 1; allowed: 7 rows, as its",
        ),
        (
            gzip.compress(FILES[IMAGES] + b"x", mtime=0),
            "more than 7 rows; allowed: 7, as its header says",
        ),
        (gzip.compress(FILES[IMAGES], mtime=0)[:-20], "no file that can be read to its end ("),
    ],
)
def test_rows_when_a_compressed_file_is_cut_short_or_too_long_then_says_so(
    content, problem, write_folder
):
    root = write_folder({**ZIPPED, f"{IMAGES}.gz": content})
    with pytest.raises(DataError) as caught:
        list(source(root).rows())
    assert str(caught.value).startswith(f"{root}/{IMAGES}.gz: {problem}")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (FILES[LABELS], "no file that can be read to its end ("),
        (ZIPPED[f"{LABELS}.gz"][:-9], "no file that can be read to its end ("),
        (
            gzip.compress(FILES[LABELS][:-2], mtime=0),
            "a file that ends in row 6; allowed: 7 rows, as its",
        ),
    ],
)
def test_check_when_compressed_labels_cannot_be_read_then_says_so(content, problem, write_folder):
    root = write_folder({**ZIPPED, f"{LABELS}.gz": content})
    assert error(root).startswith(f"{root}/{LABELS}.gz: {problem}")


def test_fingerprint_when_a_file_changes_then_is_another(write_folder):
    before = source(write_folder(FILES)).fingerprint()
    root = write_folder({**FILES, "t10k-labels-idx1-ubyte": FILES["t10k-labels-idx1-ubyte"] + b" "})
    assert source(root).fingerprint() != before
