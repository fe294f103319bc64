"""Rows that are tf.Examples in TFRecord files, gzipped or not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pipeline.config_file import ConfigError, Problem
from pipeline.predict.rows import Row
from serving.client.examples import features_of, parse_example
from serving.client.metadata import Signature

_GZIP = b"\x1f\x8b\x08"


class RecordRows:
    """A row for each tf.Example.

    A signature that takes serialized examples gets the records as they are; any other gets the
    features that it asks for, an input of one value a row the only value of its feature.

    Args:
        paths: of TFRecord files.

    Raises:
        ConfigError: if a file cannot be read.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self.total: int | None = None
        self._files = [(path, _compression(path)) for path in paths]

    def read(self, signature: Signature) -> Iterator[Row]:
        """Yields the rows, file by file."""
        for path, compression in self._files:
            for number, record in enumerate(read_records(path, compression), start=1):
                row = Row(path, f"record {number}", {}, {})
                yield Row(path, row.position, _features(record, signature, row), {})


def is_tfrecord(path: Path) -> bool:
    """Returns whether a file holds TFRecords by its name, as `data_tfrecord-00000-of-00001.gz`."""
    return "tfrecord" in path.name.lower()


def _compression(path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            return "GZIP" if _is_gzip(file.read(4)) else ""
    except OSError as error:
        raise ConfigError(
            Problem(path, "ROWS", str(error.strerror), "a TFRecord file of tf.Examples")
        ) from error


def _is_gzip(start: bytes) -> bool:
    """Returns whether a file of TFRecords that starts so is gzipped.

    A plain one starts with the length of a record, whose first two bytes may be those of gzip by
    chance. After these RFC 1952 has the only method there is, and flags of five bits.
    """
    return start[:3] == _GZIP and len(start) == 4 and start[3] < 0x20


def read_records(path: str, compression: str = "") -> Iterator[bytes]:
    """Yields the records of a TFRecord file.

    Raises:
        ConfigError: at the first that is broken.
    """
    import tensorflow as tf

    dataset = tf.data.TFRecordDataset(path, compression_type=compression)
    number = 0
    try:
        for record in dataset.as_numpy_iterator():
            number += 1
            yield record
    except tf.errors.OpError as error:
        found = str(error.message).partition(" [Op:")[0].splitlines()[0]
        raise ConfigError(
            Problem(path, f"record {number + 1}", found, "a TFRecord file that is whole")
        ) from error


def _features(record: bytes, signature: Signature, row: Row) -> dict[str, Any]:
    if signature.takes_examples:
        return dict.fromkeys(signature.inputs, record)
    try:
        given = features_of(parse_example(record))
    except ValueError as error:
        raise row.refused("bytes", "bytes that do not parse", "a tf.Example") from error
    # All at once may be missing: it is the record that says so.
    features: dict[str, Any] = {n: None for n, spec in signature.inputs.items() if spec.nullable}
    for name, values in given.items():
        spec = signature.inputs.get(name)
        shape = None if spec is None or spec.shape is None else spec.shape[1:]
        features[name] = values
        if spec is not None and spec.nullable:
            if shape == () and len(values) > 1:
                raise row.refused(name, f"{len(values)} values", "one, or none")
        elif shape == ():
            if len(values) != 1:
                raise row.refused(name, f"{len(values)} values", "one")
            features[name] = values[0]
        elif shape and len(shape) > 1:
            features[name] = _reshaped(values, shape, row, name)
    return features


def _reshaped(values: list[Any], shape: tuple[int | None, ...], row: Row, name: str) -> Any:
    """Returns a feature's values, which are flat, in an input's shape."""
    import numpy as np

    sizes = [-1 if size is None else size for size in shape]
    # NumPy's own text would lose the zero bytes at an end.
    array = np.array(values, object if values and isinstance(values[0], bytes) else None)
    try:
        return array.reshape(sizes)
    except ValueError as error:
        raise row.refused(name, f"{len(values)} values", f"those of shape {sizes}") from error
