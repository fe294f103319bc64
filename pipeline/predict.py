"""Asks a pushed version: reads raw rows, runs a signature, writes the answers as JSON lines."""

from __future__ import annotations

import base64
import csv
import io
import itertools
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from pipeline.config_file import ConfigError, Problem

BATCH = 256


def read_rows(text: str, source: str) -> list[dict[str, Any]]:
    """Reads rows from JSON (an object, a list of objects, or one object a line) or CSV.

    CSV has a header; a cell is read as JSON where it is JSON, so that `[1, 2]` is a vector, and
    as text otherwise. Bytes are given as TensorFlow Serving takes them, `{"b64": "<base64>"}`.

    Args:
        source: where the text is from, for the messages.

    Raises:
        ConfigError: if there are no rows, or they cannot be read.
    """
    stripped = text.strip()
    if not stripped:
        raise ConfigError(Problem(source, "rows", "none", "JSON objects, or CSV with a header"))
    rows = _csv_rows(stripped, source) if stripped[0] not in "[{" else _json_rows(text, source)
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict):
            raise ConfigError(Problem(source, f"row {number}", repr(row), "an object of features"))
    if not rows:
        raise ConfigError(Problem(source, "rows", "none", "one object or more"))
    return [
        {name: _with_bytes(value, source, f"row {number}: {name}") for name, value in row.items()}
        for number, row in enumerate(rows, start=1)
    ]


def _json_rows(text: str, source: str) -> list[Any]:
    try:
        whole = json.loads(text)
        return whole if isinstance(whole, list) else [whole]
    except json.JSONDecodeError:
        return list(_json_lines(text, source))


def _with_bytes(value: Any, source: str, key: str) -> Any:
    """Returns a value with the bytes that TensorFlow Serving's REST interface means by it."""
    if isinstance(value, list):
        return [_with_bytes(item, source, key) for item in value]
    if not isinstance(value, dict):
        return value
    try:
        if list(value) != ["b64"]:
            raise ValueError("an object with other keys")
        return base64.b64decode(value["b64"], validate=True)
    except (TypeError, ValueError) as error:
        raise ConfigError(Problem(source, key, str(error), '{"b64": "<base64>"}')) from error


def sample_rows(folder: Path, count: int) -> list[dict[str, Any]]:
    """Returns the first rows of the data that a version was trained on, without the label.

    Raises:
        ConfigError: if the version does not say what it was trained on, or that is not there.
    """
    from components.example_gen.config import DataConfig
    from components.example_gen.source import DataError
    from components.example_gen.sources import make_source
    from serving.versions import read_manifest

    key = "--sample"
    section = read_manifest(folder).get("data", {})
    try:
        data: DataConfig = TypeAdapter(DataConfig).validate_python(section)
    except ValidationError as error:
        allowed = "a version that says what it was trained on; or ROWS instead"
        raise ConfigError(Problem(str(folder), key, f"data {section}", allowed)) from error
    try:
        rows = list(itertools.islice(make_source(data).rows(), count))
    except DataError as error:
        found, _, allowed = str(error).partition("; allowed: ")
        allowed += "; or ROWS instead, where the data are not at hand"
        raise ConfigError(Problem(str(folder), key, found, allowed)) from error
    return [
        {name: value for name, value in row.features.items() if name != data.label} for row in rows
    ]


def predict(folder: Path, signature: str, rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Yields the answer to each row as a line of JSON.

    Raises:
        ConfigError: if the version does not load, or a row does not fit the signature.
    """
    from serving.session import InvalidModel, InvalidRequest, SavedModelSession

    try:
        session = SavedModelSession(folder)
    except InvalidModel as error:
        raise ConfigError(Problem(str(folder), "MODEL", str(error), "a SavedModel")) from error
    rows = list(rows)
    try:
        names = list(session.signature(signature).inputs)
        for first in range(0, len(rows), BATCH):
            batch = rows[first : first + BATCH]
            for offset, row in enumerate(batch):
                missing = [name for name in names if name not in row]
                if missing:
                    raise InvalidRequest(
                        f"row {first + offset + 1}: no {', '.join(missing)}; "
                        f"allowed: {', '.join(names)}"
                    )
            inputs: dict[str, Any] = {name: [row[name] for row in batch] for name in names}
            answers = session.run(signature, inputs)
            for index in range(len(batch)):
                yield json.dumps({name: _plain(value[index]) for name, value in answers.items()})
    except InvalidRequest as error:
        found, _, allowed = str(error).partition("; allowed: ")
        problem = Problem(str(folder), signature, found, allowed or "rows that fit the signature")
        raise ConfigError(problem) from error


def _csv_rows(text: str, source: str) -> list[dict[str, Any]]:
    reader = csv.reader(io.StringIO(text))
    header = next(reader)
    rows = []
    for number, cells in enumerate(filter(None, reader), start=1):
        if len(cells) != len(header):
            found, allowed = f"{len(cells)} cells", f"{len(header)}, as the header has"
            raise ConfigError(Problem(source, f"row {number}", found, allowed))
        rows.append(dict(zip(header, map(_cell, cells), strict=True)))
    if not rows:
        raise ConfigError(Problem(source, "rows", "a header alone", "one row or more"))
    return rows


def _json_lines(text: str, source: str) -> Iterator[Any]:
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            try:
                yield json.loads(line)
            except json.JSONDecodeError as error:
                raise ConfigError(
                    Problem(source, f"line {number}", line[:60], f"JSON ({error.msg})")
                ) from error


def _cell(text: str) -> Any:
    try:
        return json.loads(text)
    except (json.JSONDecodeError, TypeError):
        return text


def _plain(value: Any) -> Any:
    """Turns an array or a NumPy scalar into what JSON holds; bytes as text."""
    plain = np.asarray(value).tolist()
    if isinstance(plain, list):
        return [_plain(item) for item in plain]
    return plain.decode("utf-8", "replace") if isinstance(plain, bytes) else plain
