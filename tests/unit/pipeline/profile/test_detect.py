"""Which source is chosen for what a path leads to."""

import tarfile

import pytest

from components.example_gen.source import DataError
from pipeline.profile.detect import detect


@pytest.fixture
def files(tmp_path):
    def make(*names, content=b"a,b\n1,2\n"):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return tmp_path

    return make


@pytest.mark.parametrize(
    ("names", "source"),
    [
        (["rows.csv"], "csv"),
        (["rows.csv.gz", "README"], "csv"),
        (["part-1.parquet", "part-2.parquet", "notes.csv"], "parquet"),
        (["a.tfrecord.gz"], "tfrecord"),
        (["x.npz"], "npz"),
        (["cat/1.jpg", "dog/2.PNG"], "image_folder"),
        (["train/cat/1.jpg", "labels.csv", "train/dog/2.jpg"], "image_folder"),
        (["train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"], "idx"),
        (["data_batch_1.bin", "test_batch.bin", "readme.csv", "more.csv"], "cifar10_binary"),
        (["data_batch_1", "batches.meta"], "cifar10_python"),
    ],
)
def test_detect_when_a_folder_holds_files_of_a_kind_then_is_its_source(
    files, names, source, monkeypatch
):
    monkeypatch.setattr("pipeline.profile.detect._dialect", lambda path: {})
    root = files(*names)
    assert detect(str(root)) == {"source": source, "path": str(root)}


def test_detect_when_pictures_are_in_a_tar_then_is_an_image_folder(files, tmp_path):
    root = files("cat/1.jpg", "dog/1.jpg")
    with tarfile.open(tmp_path / "all.tar.gz", "w:gz") as archive:
        archive.add(root / "cat", "cat")
        archive.add(root / "dog", "dog")
    assert detect(str(tmp_path / "all.tar.gz"))["source"] == "image_folder"


def test_detect_when_nothing_is_of_a_kind_that_is_read_then_says_which_are(files):
    with pytest.raises(DataError, match="found no file of a kind that is read; allowed: CSV"):
        detect(str(files("a.docx")))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a,b\n1,2\n", {}),
        (b"a;b\n1,5;2\n2,5;3\n", {"delimiter": ";"}),
        (b"a\tb\n1\t2\n", {"delimiter": "\t"}),
        (b"a\n1\n2\n", {}),
        (b"a,b\ncaf\xe9,1\n", {"encoding": "cp1252"}),
        ("a,b\né,1\n".encode("utf-16"), {"encoding": "utf-16"}),
        ("a,b\né,1\n".encode(), {}),
        (b'a,b\n"x;y;z;w",1\n"p;q;r;s",2\n', {}),
    ],
)
def test_detect_when_a_csv_is_written_otherwise_then_says_how(files, content, expected):
    path = files("rows.csv", content=content) / "rows.csv"
    assert detect(str(path)) == {"source": "csv", "path": str(path)} | expected
