"""TFRecords of tf.Example, read record by record, so that a damaged one is named by its number.

A record is its length (8 bytes, little-endian), a checksum of that, the content, and a checksum of
the content; checksums are masked CRC-32C, as
https://www.tensorflow.org/tutorials/load_data/tfrecord describes them.
"""

from __future__ import annotations

import gzip
import io
import itertools
import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import google_crc32c
import pyarrow as pa
import pyarrow.compute as pc

from components.example_gen.file_access import open_binary, size_of
from components.example_gen.source import BadRow, DataError
from components.example_gen.tables.reader import Table, TableReader
from components.example_gen.tables.types import Kinds, kinds

_BATCH = 1000
_MASK_DELTA = 0xA282EAD8
_GZIP = b"\x1f\x8b"
_ALLOWED = "a TFRecord of tf.Example that is whole"


class _Damage(NamedTuple):
    """A record that is none, and why."""

    found: str


class TFRecordReader(TableReader):
    """Reads TFRecord files, plain or GZIP, as their first bytes say."""

    suffixes = (".tfrecord", ".tfrecords", ".tfrecord.gz", ".tfrecords.gz", ".gz")
    has_header = False

    def columns(self, path: str) -> Sequence[str]:
        """Returns the names of the features in the file's first records, sorted."""
        names: set[str] = set()
        for table in self.tables(path, None):
            names |= set(table.columns)
            if names:
                return sorted(names)
        raise DataError.at(path, "found no record of a tf.Example", "TFRecords of tf.Example")

    def parts(self, path: str) -> Sequence[None]:
        return [None]

    def tables(self, path: str, part: None) -> Iterator[Table]:
        numbers: list[int] = []
        records: list[bytes] = []
        bad: list[BadRow] = []
        with open_binary(path) as file:
            for number, record in enumerate(_records(file), start=1):
                if isinstance(record, _Damage):
                    bad.append(BadRow(f"{path}: record {number}", "", record.found, _ALLOWED))
                else:
                    numbers.append(number)
                    records.append(record)
                if len(records) + len(bad) == _BATCH:
                    yield _table(path, numbers, records, bad)
                    numbers, records, bad = [], [], []
        if records or bad:
            yield _table(path, numbers, records, bad)

    def about_rows(self, path: str, part: None) -> int:
        with open_binary(path) as file:
            is_gzip = file.peek(2)[:2] == _GZIP
            first = list(itertools.islice(_records(file), _BATCH))
        if len(first) < _BATCH:
            return len(first)
        content = b"".join(_framed(record) for record in first if isinstance(record, bytes))
        stored = len(zlib.compress(content) if is_gzip else content)
        return len(first) * size_of(path) // max(1, stored)

    def kinds(self, values: pa.Array) -> Kinds:
        return kinds(values)


def _records(file: io.BufferedReader) -> Iterator[bytes | _Damage]:
    """Yields each record's content, or what is wrong with it.

    After a damaged length nothing tells where the next record begins.
    """
    start = file.peek(2)[:2]
    stream: Any = io.BufferedReader(gzip.GzipFile(fileobj=file)) if start == _GZIP else file
    while True:
        try:
            header = stream.read(12)
            if not header:
                return
            if len(header) < 12:
                yield _Damage(f"{len(header)} bytes, where the file ends")
                return
            length, length_crc = struct.unpack("<QI", header)
            if _masked_crc(header[:8]) != length_crc:
                yield _Damage("a length that is damaged: nothing after it can be read")
                return
            content, footer = stream.read(length), stream.read(4)
        except (EOFError, OSError, zlib.error) as error:
            yield _Damage(f"the end of what can be read ({error})")
            return
        if len(footer) < 4:
            found = len(content) + len(footer)
            yield _Damage(f"{found} of {length + 4} bytes, where the file ends")
            return
        if _masked_crc(content) != struct.unpack("<I", footer)[0]:
            yield _Damage("a content that does not match its checksum")
        else:
            yield content


def _framed(content: bytes) -> bytes:
    """Returns a record as a file has it."""
    length = struct.pack("<Q", len(content))
    crcs = [struct.pack("<I", _masked_crc(part)) for part in (length, content)]
    return length + crcs[0] + content + crcs[1]


def _masked_crc(content: bytes) -> int:
    crc = google_crc32c.value(content)
    return ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF


def _table(path: str, numbers: list[int], records: list[bytes], bad: list[BadRow]) -> Table:
    from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

    decoder = ExamplesToRecordBatchDecoder()
    try:
        batch = decoder.DecodeBatch(records)
    except Exception:  # the decoder raises RuntimeError and others, and does not say which record
        numbers, records, undecoded = _decodable(path, numbers, records)
        bad, batch = bad + undecoded, decoder.DecodeBatch(records)
    columns = {
        name: _simplified(values)
        for name, values in zip(batch.schema.names, batch.columns, strict=True)
        if not pa.types.is_null(values.type)
    }
    return Table(
        columns,
        where=lambda number: f"{path}: record {numbers[number]}",
        shown=lambda number: _shown(records[number]),
        bad=bad,
    )


def _decodable(
    path: str, numbers: list[int], records: list[bytes]
) -> tuple[list[int], list[bytes], list[BadRow]]:
    """Returns the records that are examples with values of one kind a feature, and the others.

    The first example that has a feature says of which kind its values are.
    """
    import tensorflow as tf

    kind_of: dict[str, str] = {}
    good, bad = [], []
    for number, record in zip(numbers, records, strict=True):
        where = f"{path}: record {number}"
        try:
            example = tf.train.Example.FromString(record)
        except Exception:  # of protobuf, whose class differs by its implementation
            bad.append(BadRow(where, "", f"{len(record)} bytes that are none", "a tf.Example"))
            continue
        found = {
            name: feature.WhichOneof("kind") or ""
            for name, feature in example.features.feature.items()
        }
        wrong = [name for name, kind in found.items() if kind and kind_of.get(name, kind) != kind]
        if wrong:
            kinds_ = (found[wrong[0]], f"{kind_of[wrong[0]]}, as in the records before")
            bad.append(BadRow(where, wrong[0], *kinds_, _shown(record)))
            continue
        kind_of |= {name: kind for name, kind in found.items() if kind}
        good.append((number, record))
    return [number for number, _ in good], [record for _, record in good], bad


def _simplified(values: pa.Array) -> pa.Array:
    """Returns a column of lists as one of values where no row has several."""
    inner = values.type.value_type
    plain = pa.binary() if pa.types.is_binary(inner) or pa.types.is_large_binary(inner) else inner
    lists = values.cast(pa.list_(plain))
    lengths = pc.fill_null(pc.list_value_length(lists), 0)
    if (pc.max(lengths).as_py() or 0) > 1:
        return lists
    flat = lists.flatten()
    present = pc.equal(lengths, 1)
    places = pc.subtract(pc.cumulative_sum(lengths), 1)
    return flat.take(pc.if_else(present, places, None))


def _shown(record: bytes) -> str:
    import tensorflow as tf

    text = str(tf.train.Example.FromString(record)).replace("\n", " ")
    return text if len(text) <= 2000 else text[:1997] + "..."
