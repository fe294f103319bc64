"""The account of what was read: every file of every source, its size and the hash of its bytes."""

import hashlib
import importlib.metadata
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from pydantic import TypeAdapter

from components.example_gen import provenance
from components.example_gen.config import DataConfig
from components.example_gen.examples import to_example
from components.example_gen.provenance import (
    ReadSource,
    collect_sources,
    read_sources,
    shares,
    write_contents,
)
from components.example_gen.source import DataError
from components.example_gen.sources import make_source
from tests.unit.components import test_cifar10_binary, test_cifar10_python, test_idx

ROWS = [{"x": float(number), "y": number % 2} for number in range(60)]
CSV = "x,y\n" + "".join(f"{row['x']},{row['y']}\n" for row in ROWS)


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def config(source, path, **keys):
    section = {"source": source, "path": str(path), "label": "y"} | keys
    return TypeAdapter(DataConfig).validate_python(section)


def account(data, folder):
    """What is put down of a source, without reading its rows."""
    origins = make_source(data).origins()
    for number, share in enumerate(shares(origins)):
        write_contents(str(folder / "hashes"), number, share)
    folder.mkdir(exist_ok=True)
    collect_sources(str(folder / "hashes"), origins, str(folder))
    return read_sources(str(folder))


def csv_folder(folder, *_):
    (folder / "rows").mkdir()
    (folder / "rows" / "b.csv").write_text(CSV)
    (folder / "rows" / "a.csv").write_text(CSV[:100])
    (folder / "rows" / "notes.md").write_text("not read")
    return config("csv", folder / "rows"), ["rows/a.csv", "rows/b.csv"]


def parquet(folder, *_):
    pq.write_table(pa.Table.from_pylist(ROWS), folder / "data.parquet")
    return config("parquet", folder / "data.parquet"), ["data.parquet"]


def tfrecord(folder, *_):
    with tf.io.TFRecordWriter(str(folder / "data.tfrecord")) as writer:
        for row in ROWS:
            writer.write(to_example(row).SerializeToString())
    return config("tfrecord", folder / "data.tfrecord"), ["data.tfrecord"]


def npz(folder, *_):
    np.savez(folder / "data.npz", x=np.arange(60.0), y=np.arange(60) % 2)
    return config("npz", folder / "data.npz"), ["data.npz"]


def idx(folder, write_folder, _):
    write_folder({**test_idx.FILES, "README": b"not read"}, "mnist")
    data = config("idx", folder / "mnist", label="label")
    return data, [f"mnist/{name}" for name in test_idx.FILES]


def cifar10_binary(folder, write_folder, _):
    write_folder({**test_cifar10_binary.FILES, "readme.html": b"not read"}, "cifar")
    data = config("cifar10_binary", folder / "cifar", label="label")
    return data, [f"cifar/{name}" for name in test_cifar10_binary.FILES]


def cifar10_python(folder, write_folder, _):
    files = test_cifar10_python.pickled(test_cifar10_python.CONTENT)
    write_folder({**files, "readme.html": b"not read"}, "cifar")
    data = config("cifar10_python", folder / "cifar", label="label")
    return data, [f"cifar/{name}" for name in files]


def cifar10_archive(folder, _, write_tar):
    write_tar(test_cifar10_binary.FILES, "cifar.tar.gz")
    return config("cifar10_binary", folder / "cifar.tar.gz", label="label"), ["cifar.tar.gz"]


KINDS = [csv_folder, parquet, tfrecord, npz, idx, cifar10_binary, cifar10_python, cifar10_archive]


@pytest.mark.parametrize("make", KINDS)
def test_account_when_a_source_is_of_files_then_has_each_that_is_read_with_size_and_hash(
    make, tmp_path, write_folder, write_tar
):
    data, paths = make(tmp_path, write_folder, write_tar)
    assert sorted(account(data, tmp_path / "examples"), key=lambda source: source.name) == [
        ReadSource("file", str(tmp_path / path), 1, len(content), sha256(content))
        for path in sorted(paths)
        for content in [(tmp_path / path).read_bytes()]
    ]


@pytest.fixture
def pictures(picture, write_folder):
    """Files of an image folder, by path, and its configuration."""
    files = {f"{'cat' if i % 2 else 'dog'}/{i}.png": picture(i) for i in range(12)}
    root = write_folder({**files, "README": b"not read"}, "pets")
    return files, config("image_folder", root, label="label")


def test_account_when_a_source_is_a_folder_of_pictures_then_is_one_hash_over_all_of_them(
    pictures, tmp_path, monkeypatch
):
    monkeypatch.setattr(provenance, "_FILES_AT_ONCE", 5)
    files, data = pictures
    assert len(shares(make_source(data).origins())) == 3, "workers share the pictures"
    lines = "".join(
        f"{path}\0{len(content)}\0{sha256(content)}\n" for path, content in sorted(files.items())
    )
    size = sum(map(len, files.values()))
    expected = ReadSource("folder", str(tmp_path / "pets"), 12, size, sha256(lines.encode()))
    assert account(data, tmp_path / "examples") == [expected]


def test_account_when_one_picture_changes_or_moves_then_the_hash_of_the_folder_does(
    pictures, picture, tmp_path
):
    _, data = pictures
    (before,) = account(data, tmp_path / "before")
    (tmp_path / "pets/cat/1.png").write_bytes(picture(99))
    (changed,) = account(data, tmp_path / "changed")
    (tmp_path / "pets/cat/1.png").write_bytes(picture(1))
    (tmp_path / "pets/cat/3.png").rename(tmp_path / "pets/dog/3.png")
    (moved,) = account(data, tmp_path / "moved")
    assert len({before.sha256, changed.sha256, moved.sha256}) == 3


def test_account_when_a_library_brings_the_data_then_names_them_and_its_version(ingest, tmp_path):
    data = TypeAdapter(DataConfig).validate_python({"dataset": "digits", "label": "digit"})
    version = f"scikit-learn {importlib.metadata.version('scikit-learn')}"
    assert account(data, tmp_path) == [ReadSource("dataset", "digits", version=version)]


def test_account_when_a_window_of_spans_is_read_then_has_their_files_alone_each_with_its_span(
    tmp_path, ingest
):
    for span in (1, 2, 3):
        (tmp_path / f"day-{span}.csv").write_text(CSV.replace("\n0.0,", f"\n{span}.5,"))
    data = config("csv", tmp_path / "day-{SPAN}.csv", window=2)
    examples = ingest(tmp_path / "examples", data)
    found = read_sources(examples.uri)
    assert [(Path(source.name).name, source.span) for source in found] == [
        ("day-2.csv", 2),
        ("day-3.csv", 3),
    ]
    assert [source.sha256 for source in found] == [
        sha256((tmp_path / f"day-{span}.csv").read_bytes()) for span in (2, 3)
    ]


def test_account_when_the_folders_are_those_of_splits_then_spans_are_told_too(tmp_path):
    for split in ("train", "test"):
        (tmp_path / "day-7" / split).mkdir(parents=True)
        (tmp_path / "day-7" / split / "a.csv").write_text(CSV)
    data = config("csv", tmp_path / "day-{SPAN}", splits={"by": "folder"})
    found = account(data, tmp_path / "examples")
    assert [(source.files, source.span) for source in found] == [(1, 7), (1, 7)]


def test_account_when_the_path_is_relative_then_names_the_absolute_one(tmp_path, monkeypatch):
    (tmp_path / "data.csv").write_text(CSV)
    monkeypatch.chdir(tmp_path)
    (found,) = account(config("csv", "data.csv"), tmp_path / "examples")
    assert found.name == str(tmp_path / "data.csv")


def test_read_sources_when_examples_have_no_account_then_is_none(tmp_path):
    assert read_sources(str(tmp_path)) is None


def test_executor_when_the_data_change_while_they_are_read_then_fails_and_says_so(
    tmp_path, ingest, monkeypatch
):
    """The cache goes by what the data were: it must not give out the rows of others."""
    path = tmp_path / "data.csv"
    path.write_text(CSV)
    data = config("csv", path)
    before = make_source(data).fingerprint()
    assert read_sources(ingest(tmp_path / "same", data, fingerprint=before).uri)
    path.write_text(CSV + "7.0,1\n")
    with pytest.raises(DataError, match=r"data\.csv: data that were changed while they were read"):
        ingest(tmp_path / "changed", data, fingerprint=before)


def test_account_when_written_then_is_plain_json_for_other_programs(tmp_path):
    (tmp_path / "data.csv").write_text(CSV)
    account(config("csv", tmp_path / "data.csv"), tmp_path / "examples")
    assert json.loads((tmp_path / "examples" / "sources.json").read_text()) == [
        {
            "kind": "file",
            "name": str(tmp_path / "data.csv"),
            "files": 1,
            "bytes": len(CSV),
            "sha256": sha256(CSV.encode()),
            "span": None,
            "version": "",
        }
    ]
