"""Reading the TFRecords that Transform writes: GZIP files of tf.Example, checked to their ends."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import tensorflow as tf

from trainer_module.data.pace import parallel, row_bytes, run_ahead

COMPRESSION = "GZIP"

Arrays = Mapping[str, np.ndarray]
Element = TypeVar("Element")

_PARSE_BATCH = 1024
_PARSE_BYTES = 32 * 2**20
_PARALLEL_READS = 4
# What TFRecord adds to a record: its length (8 bytes) and two checksums (4 bytes each).
_FRAME = 16
# A gzip file's smallest header and its trailer of 8 bytes.
_SMALLEST_GZIP = 18


def match_files(file_patterns: Sequence[str]) -> list[str]:
    """Returns the files that match, each once, in order of their names.

    Raises:
        ValueError: if there are none.
    """
    files = sorted({name for pattern in file_patterns for name in tf.io.gfile.glob(pattern)})
    if not files:
        raise ValueError(f"no rows in {list(file_patterns)}: no file matches")
    return files


def check_fixed_length(feature_spec: Mapping[str, Any]) -> None:
    """Raises ValueError if a feature is not of fixed length."""
    for name, feature in feature_spec.items():
        if not isinstance(feature, tf.io.FixedLenFeature):
            raise ValueError(
                f"transformed feature {name!r}: found {type(feature).__name__}; the loop takes "
                "features of fixed length: make it dense in preprocessing_fn"
            )


def parsed_batches(
    files: Sequence[str], feature_spec: Mapping[str, Any]
) -> Iterator[dict[str, np.ndarray]]:
    """Yields the rows of all files once, [b, *shape] a feature, in no order to rely on.

    TFRecord has no end mark: a file that was cut between two records reads as a shorter one. What
    was read is therefore held against the length that each file's GZIP trailer states.

    Raises:
        ValueError: if a file is damaged, cut short, or not of these features; it names the file.
    """

    def parse(records: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        lengths = tf.strings.length(records)
        framed = tf.reduce_sum(tf.cast(lengths, tf.int64)) + _FRAME * tf.size(records, tf.int64)
        return tf.io.parse_example(records, feature_spec), framed

    records = tf.data.TFRecordDataset(files, COMPRESSION, num_parallel_reads=_PARALLEL_READS)
    check_fixed_length(feature_spec)
    row = max(1, row_bytes(feature_spec))
    size = max(1, min(_PARSE_BATCH, _PARSE_BYTES // row))
    batches = run_ahead(records.batch(size).map(parse, parallel(size * row)), 1)
    total = 0
    for features, framed in _naming_damage(batches.as_numpy_iterator(), files, feature_spec):
        total += int(framed)
        yield {name: features[name] for name in sorted(features)}
    stated = sum(int.from_bytes(gzip_trailer(file)[4:], "little") for file in files)
    if total % 2**32 != stated % 2**32:
        # Either a file was cut, or one is of several gzip members, of which the trailer counts
        # the last alone.
        for file in files:
            _check_container(file)


def gzip_trailer(file: str) -> bytes:
    """Returns a gzip file's last 8 bytes: a checksum of its content, and its length modulo 2^32.

    See RFC 1952, CRC32 and ISIZE.
    """
    size = tf.io.gfile.stat(file).length
    if size < _SMALLEST_GZIP:
        raise ValueError(f"{file}: found {size} bytes, which is no GZIP file: write it again")
    with tf.io.gfile.GFile(file, "rb") as opened:
        opened.seek(size - 8)
        return opened.read(8)


def _naming_damage(
    elements: Iterator[Element], files: Sequence[str], feature_spec: Mapping[str, Any]
) -> Iterator[Element]:
    """Yields the elements; an error of reading them becomes one that names the file.

    Raises:
        ValueError: names the first file that does not read.
    """
    try:
        yield from elements
    except tf.errors.OpError as error:
        for file in files:
            _check_container(file)
            _check_records(file, feature_spec)
        raise ValueError(f"the examples in {list(files)} do not read: {error.message}") from error


def _check_container(file: str) -> None:
    """Raises ValueError if a gzip file is not whole."""
    gzip_trailer(file)
    with tf.io.gfile.GFile(file, "rb") as opened:
        try:
            with gzip.GzipFile(fileobj=opened) as unzipped:
                while unzipped.read(2**20):
                    pass
        except (EOFError, OSError, gzip.zlib.error) as error:  # type: ignore[attr-defined]
            raise ValueError(f"{file}: damaged or cut short ({error}): write it again") from error


def _check_records(file: str, feature_spec: Mapping[str, Any]) -> None:
    """Raises ValueError if a record of the file is none, or not an example of the features."""
    records = tf.data.TFRecordDataset(file, COMPRESSION).batch(_PARSE_BATCH)
    try:
        for record in records:
            tf.io.parse_example(record, feature_spec)
    except tf.errors.OpError as error:
        raise ValueError(
            f"{file}: not examples of {sorted(feature_spec)}: {error.message}"
        ) from error
