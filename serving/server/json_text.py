"""JSON as TF Serving's parser takes it, and values of it as its errors show them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from itertools import islice
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any

import orjson

from serving.server.errors import invalid_argument

_SHOWN = 200
"""Characters of a wrong value that an error shows."""

_NOT_JSON = (b"NaN", b"Inf")
_QUOTE_OR_INF = re.compile(r'"|\bInf\b')


def parse(body: bytes) -> dict[str, Any]:
    """Returns a request's JSON object; NaN, Infinity and -Infinity are accepted.

    Raises:
        ServingError: INVALID_ARGUMENT if it is not JSON, not UTF-8, nested too deeply, or not an
            object.
    """
    if not body:
        raise invalid_argument("JSON Parse error: The document is empty")
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if not any(token in body for token in _NOT_JSON):
            raise invalid_argument(
                f"JSON Parse error: {error.msg} at offset: {error.pos}"
            ) from error
        document = _parse_with_nan(body)
    if type(document) is not dict:
        raise invalid_argument(f"JSON Value: {shown(document)} Is not object")
    return document


def kind_of(value: Any) -> str:
    """Returns RapidJSON's name of a value's kind, which TF Serving's errors have."""
    kinds = {dict: "Object", list: "Array", str: "String", type(None): "Null"}
    return str(value) if type(value) is bool else kinds.get(type(value), "Number")


def shown(value: Any) -> str:
    """Returns a value's JSON for an error, cut where it is long.

    No more is written than is shown: the whole may be as large as the request.
    """
    text = "".join(islice(_pieces(value), _SHOWN + 1))
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def _pieces(value: Any) -> Iterator[str]:
    """Yields a value's JSON, none of it empty and no text in it longer than an error shows."""
    if type(value) is list:
        yield "["
        for index, item in enumerate(value):
            if index:
                yield ", "
            yield from _pieces(item)
        yield "]"
    elif type(value) is dict:
        yield "{"
        for index, (key, item) in enumerate(value.items()):
            yield f"{', ' if index else ''}{json.dumps(key[:_SHOWN])}: "
            yield from _pieces(item)
        yield "}"
    else:
        yield json.dumps(value[:_SHOWN] if type(value) is str else value)


def _parse_with_nan(body: bytes) -> Any:
    """Parses JSON that may hold NaN, Infinity or Inf, which orjson holds to the standard on."""
    try:
        text = _spelled_out(body.decode())
        return json.loads(text, parse_int=_parse_int, parse_float=_parse_float)
    except (ValueError, RecursionError) as error:
        raise invalid_argument(f"JSON Parse error: {str(error)[:_SHOWN]}") from error


def _spelled_out(text: str) -> str:
    """Returns JSON with Infinity for each Inf outside of strings.

    Takes time linear in the text, whatever is in it: the standard library's own scanner goes over
    each string once.

    Raises:
        ValueError: if a string is wrong or has no end.
    """
    pieces, kept, position = [], 0, 0
    last = text.rfind("Inf")
    while position <= last:
        found = _QUOTE_OR_INF.search(text, position)
        if found is None:
            break
        if found[0] == '"':
            _, position = scanstring(text, found.end(), True)
        else:
            pieces += [text[kept : found.start()], "Infinity"]
            kept = position = found.end()
    return "".join([*pieces, text[kept:]])


def _parse_int(text: str) -> int | float:
    # As orjson and TF Serving: what is longer than 64 bits is a decimal.
    if len(text) < 19:
        return int(text)
    value = int(text) if len(text) < 24 else 0
    return value if value and -(2**63) <= value < 2**64 else _parse_float(text)


def _parse_float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError("Number too big to be stored in double")
    return value
