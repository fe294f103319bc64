"""ML Metadata's store on PostgreSQL, for text with backslashes and rows in any order.

Its client quotes a text by libpq and takes off the first and the last character, which were to be
quotes. Of a text with a backslash libpq makes ` E'...'`, and the statement is broken. TFX keeps
JSON in properties, and JSON in JSON is full of backslashes, so another character stands for them
in the database.

TFX pairs the outputs of a cached execution with their names by position, as it gets the artifacts.
SQLite and MySQL return them by their ids; PostgreSQL puts a row that changed behind the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ml_metadata import metadata_store

_MARK = "\ue05c"
"""Of Unicode's private characters: the backslash's code in their first block."""


class PostgresqlStore(metadata_store.MetadataStore):
    """A store that gives back every text as it was put in, and artifacts as they are asked for."""

    def get_artifacts_by_id(self, artifact_ids: Iterable[int], extra_options: Any = None) -> Any:
        """Returns the artifacts of these ids, in the order of the ids; those that there are."""
        ids = list(artifact_ids)
        found = {
            artifact.id: artifact for artifact in super().get_artifacts_by_id(ids, extra_options)
        }
        return [found[number] for number in dict.fromkeys(ids) if number in found]

    def _pywrap_cc_call(self, method: Any, request: Any, response: Any) -> None:
        data = request.SerializeToString()
        if b"\\" in data or _MARK.encode() in data:
            # The caller keeps its own.
            request = type(request).FromString(data)
            change_texts(request, without_backslashes)
        super()._pywrap_cc_call(method, request, response)
        if _MARK.encode() in response.SerializeToString():
            change_texts(response, with_backslashes)


def without_backslashes(text: str) -> str:
    return text.replace(_MARK, f"{_MARK}m").replace("\\", f"{_MARK}b")


def with_backslashes(text: str) -> str:
    return text.replace(f"{_MARK}b", "\\").replace(f"{_MARK}m", _MARK)


def change_texts(message: Any, change: Callable[[str], str]) -> None:
    """Changes every text in a proto, in place: fields, items, keys and values."""
    for field, value in message.ListFields():
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            _change_map(value, field.message_type.fields_by_name["value"], change)
        elif field.type == field.TYPE_MESSAGE:
            for inner in value if field.label == field.LABEL_REPEATED else [value]:
                change_texts(inner, change)
        elif field.type != field.TYPE_STRING:
            continue
        elif field.label == field.LABEL_REPEATED:
            value[:] = [change(item) for item in value]
        else:
            setattr(message, field.name, change(value))


def _change_map(found: Any, value_field: Any, change: Callable[[str], str]) -> None:
    for key in list(found):
        if value_field.type == value_field.TYPE_MESSAGE:
            change_texts(found[key], change)
        elif value_field.type == value_field.TYPE_STRING:
            found[key] = change(found[key])
        changed = change(key) if isinstance(key, str) else key
        if changed == key:
            continue
        if value_field.type == value_field.TYPE_MESSAGE:
            found[changed].CopyFrom(found[key])
        else:
            found[changed] = found[key]
        del found[key]
