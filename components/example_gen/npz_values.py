"""What the rows of a part of an array hold: Python values, what is missing, what cannot be used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

_LARGEST = float(np.finfo(np.float32).max)
_LAST_CHARACTER = 0x10FFFF
_SURROGATES = 0xD800, 0xDFFF
_SHOWN = 50


class Missing(NamedTuple):
    """In place of a value that the row does not have."""


class Fault(NamedTuple):
    """In place of a value that cannot be used: what was found, and what is allowed."""

    found: str
    allowed: str


def values(part: np.ndarray, is_label: bool) -> Iterator[Any]:
    """Yields a value for each row of [n] or [n, 1], a list for [n, d], a PNG for pictures.

    Args:
        part: of booleans, integers, floats or text; pictures [n, h, w] or [n, h, w, c], uint8.
        is_label: a label cannot be missing.
    """
    if part.ndim > 2:
        from components.example_gen.images import encode_png

        yield from encode_png(part if part.ndim == 4 else part[..., np.newaxis])
        return
    table = part.reshape(len(part), -1)
    convert = {"f": _floats, "U": _texts, "S": _byte_texts}.get(part.dtype.kind, _integers)
    for row in convert(table):
        fault = next((value for value in row if isinstance(value, Fault)), None)
        if fault is not None:
            place = row.index(fault)
            at = f" at position {place} of {len(row)}" if len(row) > 1 else ""
            yield fault._replace(found=fault.found + at)
        elif len(row) > 1:
            yield row
        else:
            yield _single(row[0], is_label)


def _single(value: Any, is_label: bool) -> Any:
    if isinstance(value, float) and value != value:
        return Fault("nan", "a finite number, as it is the label") if is_label else Missing()
    if is_label and value == "":
        return Fault("an empty text", "a text, as it is the label")
    return value


def _integers(table: np.ndarray) -> Iterator[list[Any]]:
    largest = np.iinfo(np.int64).max
    for row in table.astype(np.int64) if table.dtype.kind == "b" else table:
        yield [
            value if value <= largest else Fault(str(value), f"integers up to {largest}")
            for value in row.tolist()
        ]


def _floats(table: np.ndarray) -> Iterator[list[Any]]:
    """Not a number stays where it is the only value of its row."""
    wide = table.astype(np.float64)
    with np.errstate(invalid="ignore"):
        usable = np.abs(wide) <= _LARGEST
    if table.shape[1] == 1:
        usable |= np.isnan(wide)
    allowed = f"finite numbers, of at most {_LARGEST:.3g}"
    for row, good in zip(wide.tolist(), usable, strict=True):
        if good.all():
            yield row
        else:
            yield [v if g else Fault(str(v), allowed) for v, g in zip(row, good, strict=True)]


def _texts(table: np.ndarray) -> Iterator[list[Any]]:
    codes = table.view(np.dtype(np.uint32).newbyteorder(table.dtype.byteorder))
    codes = codes.reshape(*table.shape, -1)
    first, last = _SURROGATES
    bad = ((codes > _LAST_CHARACTER) | ((codes >= first) & (codes <= last))).any(axis=-1)
    fault = Fault("text with half a character", "text of whole characters")
    for row, wrong in zip(np.where(bad, "", table).tolist(), bad.tolist(), strict=True):
        yield [fault if w else value for value, w in zip(row, wrong, strict=True)]


def _byte_texts(table: np.ndarray) -> Iterator[list[Any]]:
    for row in table.tolist():
        yield [_decoded(value) for value in row]


def _decoded(value: bytes) -> str | Fault:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return Fault(f"{value[:_SHOWN]!r}", "text in UTF-8")
