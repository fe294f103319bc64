"""Which source reads what a path leads to."""

from __future__ import annotations

import csv
import itertools
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from components.example_gen.source import DataError

_SUFFIXES = {
    ".csv": "csv",
    ".tsv": "csv",
    ".csv.gz": "csv",
    ".tsv.gz": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".tfrecord": "tfrecord",
    ".tfrecords": "tfrecord",
    ".tfrecord.gz": "tfrecord",
    ".tfrecords.gz": "tfrecord",
    ".npz": "npz",
    ".jpg": "image_folder",
    ".jpeg": "image_folder",
    ".png": "image_folder",
}
_NAMES = {
    "data_batch_1.bin": "cifar10_binary",
    "data_batch_1": "cifar10_python",
    "train-images-idx3-ubyte": "idx",
    "train-images-idx3-ubyte.gz": "idx",
    "train-images.idx3-ubyte": "idx",
}
_ALLOWED = (
    "CSV (.csv, .tsv, .csv.gz), Parquet, TFRecords (.tfrecord, .tfrecord.gz), .npz, a folder or "
    "tar of pictures in a folder a class, MNIST's IDX files, or CIFAR-10's batches"
)
_DELIMITERS = ",;\t|"
_LOOKED_AT = 2000
"""How many files of a folder or an archive are looked at."""


def detect(path: str) -> dict[str, Any]:
    """Returns the keys of a `data` section that reads a path: its source, and what else it takes.

    Raises:
        DataError: if nothing there is of a kind that is read.
    """
    kinds = Counter(kind for name in _file_names(path) if (kind := _kind(name)))
    if not kinds:
        raise DataError.at(path, "found no file of a kind that is read", _ALLOWED)
    # A batch of CIFAR-10 may lie beside a readme; pictures beside a CSV that lists them.
    source = next((kind for kind in _NAMES.values() if kind in kinds), kinds.most_common(1)[0][0])
    found: dict[str, Any] = {"source": source, "path": path}
    if source == "csv":
        found |= _dialect(path)
    return found


def _file_names(path: str) -> Iterator[str]:
    from components.example_gen.file_access import is_file, is_folder, open_binary, resolved, told
    from components.example_gen.files import open_files

    root = resolved(path)
    is_tar = False
    with told(root, _ALLOWED):
        of_folder = is_folder(root)
        if is_file(root):
            with open_binary(root) as file:
                is_tar = tarfile.is_tarfile(file)
    if is_tar or of_folder:
        files = (entry for entry in open_files(root, _ALLOWED).entries() if not entry.is_folder)
        yield from (Path(entry.path).name for entry in itertools.islice(files, _LOOKED_AT))
    else:
        # A file that is there or not, or a pattern: what it is called tells.
        yield Path(root).name


def _kind(name: str) -> str | None:
    if name in _NAMES:
        return _NAMES[name]
    suffixes = Path(name.lower()).suffixes
    return _SUFFIXES.get("".join(suffixes[-2:])) or _SUFFIXES.get("".join(suffixes[-1:]))


def _dialect(path: str) -> dict[str, str]:
    """Returns the delimiter and the encoding of CSV files, where they are not the usual ones."""
    from components.example_gen.file_access import list_files
    from components.example_gen.tables.csv_reader import CsvReader, read_start

    content = read_start(list_files(path, CsvReader.suffixes, _ALLOWED)[0])
    found = {}
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        if content.startswith((b"\xff\xfe", b"\xfe\xff")):
            found["encoding"] = "utf-16"
        elif content.endswith(b"\n"):  # else the end may have cut a letter
            found["encoding"] = "cp1252"
        text = content.decode(found.get("encoding", "utf-8"), errors="replace")
    try:
        delimiter = csv.Sniffer().sniff(text, _DELIMITERS).delimiter
    except csv.Error:
        delimiter = ","
    header = text.partition("\n")[0]
    if delimiter not in header:
        delimiter = max(_DELIMITERS, key=header.count)
    return found | ({"delimiter": delimiter} if delimiter != "," else {})
