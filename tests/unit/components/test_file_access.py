"""Files that TensorFlow's file systems open are read as those of this machine are.

`ram://` is one of these file systems: no name of a file of this machine leads into it.
"""

import gzip
import io
import struct
import tarfile
import uuid

import numpy as np
import pytest
import tensorflow as tf
from pydantic import TypeAdapter

from components.example_gen.config import DataConfig
from components.example_gen.examples import intake_of
from components.example_gen.source import DataError
from components.example_gen.sources import make_source
from components.example_gen.spans import latest_spans
from pipeline.profile.detect import detect


@pytest.fixture
def remote():
    """Writes files, by path and content, under a folder that no machine has."""
    root = f"ram://{uuid.uuid4().hex}/data"

    def write(files):
        for path, content in files.items():
            tf.io.gfile.makedirs(f"{root}/{path}".rpartition("/")[0])
            with tf.io.gfile.GFile(f"{root}/{path}", "wb") as file:
                file.write(content)
        return root

    return write


def source(**data):
    splits = {"train": 60, "eval": 20, "test": 20}
    return make_source(TypeAdapter(DataConfig).validate_python({"splits": splits, **data}))


def idx(array):
    sizes = struct.pack(f">{array.ndim}i", *array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.astype(np.uint8).tobytes()


def folders(picture):
    return {f"{name}/{n}.png": picture(n) for name in ("cat", "dog") for n in range(10)}


def tar(files):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for path, content in files.items():
            member = tarfile.TarInfo(path)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def test_source_when_an_image_folder_is_remote_then_reads_every_picture(remote, picture):
    root = remote(folders(picture))
    found = source(source="image_folder", path=root)
    assert found.class_names == ("cat", "dog")
    assert intake_of(found).rows == 20
    assert detect(root) == {"source": "image_folder", "path": root}


def test_source_when_a_picture_changes_its_size_remotely_then_the_fingerprint_changes(
    remote, picture
):
    root = remote(folders(picture))
    before = source(source="image_folder", path=root).fingerprint()
    assert source(source="image_folder", path=root).fingerprint() == before
    remote({"cat/0.png": picture(0, size=9)})
    assert source(source="image_folder", path=root).fingerprint() != before


def test_source_when_an_archive_is_remote_then_reads_every_picture(remote, picture):
    root = remote({"pets.tar.gz": tar(folders(picture))})
    assert intake_of(source(source="image_folder", path=f"{root}/pets.tar.gz")).rows == 20
    assert detect(f"{root}/pets.tar.gz")["source"] == "image_folder"


def test_source_when_an_npz_is_remote_then_reads_every_row(remote):
    stream = io.BytesIO()
    np.savez(stream, x=np.arange(40.0).reshape(20, 2), y=np.arange(20) % 2)
    root = remote({"rows.npz": stream.getvalue()})
    assert intake_of(source(source="npz", path=f"{root}/rows.npz", label="y")).rows == 20


def test_source_when_idx_files_are_remote_then_reads_plain_and_compressed_ones(remote):
    pictures, labels = np.arange(320).reshape(20, 4, 4) % 256, np.arange(20) % 3
    root = remote(
        {
            "train-images-idx3-ubyte.gz": gzip.compress(idx(pictures)),
            "train-labels-idx1-ubyte.gz": gzip.compress(idx(labels)),
            "t10k-images-idx3-ubyte": idx(pictures),
            "t10k-labels-idx1-ubyte": idx(labels),
        }
    )
    assert intake_of(source(source="idx", path=root)).rows == 40


def test_source_when_a_csv_is_remote_then_reads_every_row(remote):
    rows = "".join(f"{number},{number % 2}\n" for number in range(50))
    root = remote({"1.csv": f"x,y\n{rows}".encode()})
    assert intake_of(source(source="csv", path=root, label="y")).rows == 50
    assert intake_of(source(source="csv", path=f"{root}/*.csv", label="y")).rows == 50


def test_source_when_a_remote_folder_has_the_splits_then_reads_each_into_its_own(remote):
    files = {f"{split}/1.csv": b"x,y\n1,0\n2,1\n" for split in ("train", "val", "test")}
    splits = {"by": "folder", "train": 60, "eval": 20, "test": 20}
    found = source(source="csv", path=remote(files), label="y", splits=splits)
    assert intake_of(found).splits == {"train": 2, "eval": 2, "test": 2}


def test_latest_spans_when_they_are_remote_then_finds_them(remote):
    root = remote({"span-1/a.csv": b"", "span-2/a.csv": b"", "span-10/a.csv": b""})
    assert latest_spans(f"{root}/span-{{SPAN}}/a.csv", 2) == {
        2: [f"{root}/span-2/a.csv"],
        10: [f"{root}/span-10/a.csv"],
    }


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("image_folder", "nowhere"),
        ("idx", "nowhere"),
        ("npz", "nowhere.npz"),
        ("csv", "nowhere.csv"),
    ],
)
def test_source_when_a_remote_path_leads_nowhere_then_names_it(kind, path, remote):
    root = remote({"other": b"x"})
    label = {"label": "y"} if kind in ("npz", "csv") else {}
    with pytest.raises(DataError, match=f"{root}/{path}: no such"):
        source(source=kind, path=f"{root}/{path}", **label).check()


@pytest.mark.parametrize(
    ("kind", "path", "more"),
    [
        ("csv", "nofs://bucket/x.csv", {"label": "y"}),
        ("csv", "nofs://bucket/{SPAN}.csv", {"label": "y"}),
        (
            *("csv", "nofs://bucket"),
            {"label": "y", "splits": {"by": "folder", "train": 60, "eval": 20, "test": 20}},
        ),
        ("npz", "nofs://bucket/x.npz", {"label": "y"}),
        ("idx", "nofs://bucket", {}),
        ("image_folder", "nofs://bucket", {}),
        ("cifar10_binary", "nofs://bucket", {}),
    ],
)
def test_source_when_a_file_system_is_unknown_then_says_so(kind, path, more):
    with pytest.raises(DataError, match=r"nofs://bucket.*: File system scheme .*nofs"):
        source(source=kind, path=path, **more).check()


def test_detect_when_a_file_system_is_unknown_then_says_so():
    with pytest.raises(DataError, match=r"nofs://bucket/x: File system scheme .*nofs"):
        detect("nofs://bucket/x")
