"""The schema as a text file: read with errors that say where, written for people to review."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2


class SchemaFileError(ValueError):
    """A file that is no schema; the text says the line and what is wrong there."""


def read_schema(path: Path) -> schema_pb2.Schema:
    """Returns the schema of a text file (tensorflow_metadata/proto/v0/schema.proto).

    Raises:
        OSError: if the file cannot be read.
        SchemaFileError: if it holds no schema, or a feature twice or without a name.
    """
    try:
        text = path.read_text(encoding="utf-8")
        schema = text_format.Parse(text, schema_pb2.Schema())
    except UnicodeDecodeError as error:
        raise SchemaFileError(f"a byte that is no UTF-8 at {error.start}") from error
    except text_format.ParseError as error:
        where = f"line {error.GetLine()}, " if error.GetLine() else ""
        _, _, what = str(error).rpartition(" : ")
        raise SchemaFileError(f"{where}{what}") from error
    names = [feature.name for feature in schema.feature]
    if not names:
        raise SchemaFileError("no feature")
    if "" in names:
        raise SchemaFileError(f"feature {names.index('') + 1} without a name")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SchemaFileError(f"feature {', '.join(twice)} twice")
    return schema


def schema_digest(path: Path) -> str:
    """Returns a hash of the file's content."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def schema_text(schema: schema_pb2.Schema, columns: Sequence[str], header: Sequence[str]) -> str:
    """Returns the file's text: a header of comments, then the features in the order of columns.

    Features that are no column, and domains, come in the order of their names.
    """
    order = {name: position for position, name in enumerate(columns)}
    result = schema_pb2.Schema()
    result.CopyFrom(schema)
    features = sorted(
        schema.feature, key=lambda found: (order.get(found.name, len(order)), found.name)
    )
    domains = sorted(schema.string_domain, key=lambda domain: domain.name)
    result.ClearField("feature")
    result.feature.extend(features)
    result.ClearField("string_domain")
    result.string_domain.extend(domains)
    comments = "".join(f"# {line}".rstrip() + "\n" for line in header)
    return comments + str(text_format.MessageToString(result, as_utf8=True))


def write_schema(path: Path, text: str) -> None:
    """Writes the file, whole or not at all."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
