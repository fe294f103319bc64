"""Answers as JSON lines or CSV, to a stream or to a file that is whole or absent."""

from __future__ import annotations

import base64
import contextlib
import csv
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from pipeline.config_file import ConfigError, Problem

Write = Callable[[Mapping[str, Any]], None]


def json_lines_writer(stream: IO[str]) -> Write:
    """Returns what writes an answer as a line of JSON."""

    def write(answer: Mapping[str, Any]) -> None:
        stream.write(json.dumps(_plain_answer(answer), ensure_ascii=False) + "\n")

    return write


def csv_writer(stream: IO[str]) -> Write:
    """Returns what writes an answer as a row of CSV, after a header; vectors and bytes as JSON."""
    # The module quotes what its own end of line is made of: both characters are such, for readers.
    line = io.StringIO()
    writer = csv.writer(line, lineterminator="\r\n")
    is_first = True

    def write_row(cells: Iterable[Any]) -> None:
        writer.writerow(cells)
        stream.write(line.getvalue().removesuffix("\r\n") + "\n")
        line.seek(0)
        line.truncate()

    def write(answer: Mapping[str, Any]) -> None:
        nonlocal is_first
        plain = _plain_answer(answer)
        if is_first:
            write_row(plain)
            is_first = False
        write_row(map(_cell, plain.values()))

    return write


WRITERS = {"csv": csv_writer, "jsonl": json_lines_writer}


@contextlib.contextmanager
def output_file(path: Path) -> Iterator[IO[str]]:
    """Opens a file for writing that takes its place once all is written, and not before.

    A link stays one, to the new file. What is no file, such as a pipe or /dev/null, is written to
    as it is.

    Raises:
        ConfigError: if it cannot be written there.
    """
    try:
        if path.is_dir():
            raise IsADirectoryError(21, "a folder")
        is_stream = path.exists() and not path.is_file()
        target = path if is_stream else path.resolve()
        partial = target if is_stream else target.with_name(f".{target.name}.partial")
        stream = partial.open("w", encoding="utf-8", newline="")
    except (OSError, RuntimeError) as error:
        # RuntimeError is that of links in a circle.
        found = getattr(error, "strerror", None) or str(error)
        raise ConfigError(Problem(str(path), "--output", found, "a file to write")) from error
    if is_stream:
        with stream:
            yield stream
        return
    try:
        with stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(partial, target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def plain(value: Any, name: str) -> Any:
    """Returns a value, or nested lists of values, as what JSON holds.

    Bytes are text, but for names that end in `_bytes`, and for what is no UTF-8: these are
    `{"b64": ...}`, as TF Serving has it.
    """
    return _plain(value, name.endswith("_bytes"))


def _plain_answer(answer: Mapping[str, Any]) -> dict[str, Any]:
    return {name: plain(value, name) for name, value in answer.items()}


def _plain(value: Any, is_binary: bool) -> Any:
    if isinstance(value, list):
        return [_plain(item, is_binary) for item in value]
    if not isinstance(value, bytes):
        return value
    if not is_binary:
        with contextlib.suppress(UnicodeDecodeError):
            return value.decode("utf-8")
    return {"b64": base64.b64encode(value).decode()}


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (list, dict)) else value
