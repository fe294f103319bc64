"""What a pass over a split's files tells: how many rows there are, and a hash of them.

A survey is kept under a name made of the files, their sizes, times and checksums, so that one pass
serves all later runs over the same files.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from trainer_module.data.arrays import row_count, row_digests
from trainer_module.data.records import gzip_trailer, parsed_batches


class Surveyor:
    """Adds up rows as they pass.

    Attributes:
        digests: of the rows so far, [rows, 2] each, in the order in which they came.
    """

    def __init__(self, feature_spec: Mapping[str, Any]) -> None:
        self._spec = feature_spec
        self._sum = np.zeros(2, np.uint64)
        self.rows = 0

    def add(self, batch: Mapping[str, np.ndarray]) -> np.ndarray:
        """Counts a batch; returns the digests of its rows, [b, 2]."""
        digests = row_digests(batch)
        # Modulo 2^64: a sum of hashes does not depend on the order, and unlike an exclusive or it
        # sees a row that comes twice.
        self._sum += digests.astype(np.uint64).sum(axis=0, dtype=np.uint64)
        self.rows += row_count(batch)
        return digests

    def fingerprint(self) -> str:
        """Returns a hash of the rows, in any order, with the features' names and shapes."""
        digest = hashlib.sha256(f"{self.rows}:{_describe(self._spec)}:".encode())
        digest.update(self._sum.tobytes())
        return digest.hexdigest()


def survey(
    files: Sequence[str], feature_spec: Mapping[str, Any], folder: str | None
) -> tuple[int, str]:
    """Returns the number of rows and their fingerprint; from the folder, if it knows these files.

    Raises:
        ValueError: if a file is damaged.
    """
    kept = Path(folder, f"{source_key(files, feature_spec)}.json") if folder else None
    if kept and kept.exists():
        found = json.loads(kept.read_text())
        return found["rows"], found["fingerprint"]
    surveyor = Surveyor(feature_spec)
    for batch in parsed_batches(files, feature_spec):
        surveyor.add(batch)
    if kept:
        write_whole(kept, {"rows": surveyor.rows, "fingerprint": surveyor.fingerprint()})
    return surveyor.rows, surveyor.fingerprint()


def source_key(files: Sequence[str], feature_spec: Mapping[str, Any]) -> str:
    """Returns a name for the content of these files as these features, without reading them."""
    digest = hashlib.sha256(_describe(feature_spec).encode())
    for file in files:
        stat = tf.io.gfile.stat(file)
        digest.update(f"{file}:{stat.length}:{stat.mtime_nsec}:".encode())
        # TensorFlow gives times in whole seconds; the checksum tells files of one second apart.
        digest.update(gzip_trailer(file))
    return digest.hexdigest()[:24]


def write_whole(path: Path, content: Mapping[str, Any]) -> None:
    """Writes JSON so that a reader, also after a crash, finds all of it or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as opened:
        json.dump(content, opened)
        opened.flush()
        os.fsync(opened.fileno())
    os.replace(opened.name, path)


def _describe(feature_spec: Mapping[str, Any]) -> str:
    return ";".join(
        f"{name}:{tf.as_dtype(feature.dtype).name}:{list(feature.shape)}:{feature.default_value}"
        for name, feature in sorted(feature_spec.items())
    )
