"""Protobuf messages from a table, where no generated module can be had or is cheap to import.

A message means on the wire what its field numbers and types say, so a table of these speaks with
any program that has the original `.proto`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_Field = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    "bool": _Field.TYPE_BOOL,
    "bytes": _Field.TYPE_BYTES,
    "double": _Field.TYPE_DOUBLE,
    "float": _Field.TYPE_FLOAT,
    "int32": _Field.TYPE_INT32,
    "int64": _Field.TYPE_INT64,
    "string": _Field.TYPE_STRING,
    "uint32": _Field.TYPE_UINT32,
    "uint64": _Field.TYPE_UINT64,
}

Table = Mapping[str, Sequence[tuple[str, int, str]]]
"""Message -> its fields: name, number, type. A type is a scalar, another message of the table,
`repeated T`, or `map<string, T>`."""


def build_messages(package: str, table: Table) -> dict[str, Any]:
    """Returns the class of each message of a table.

    The classes live in a pool of their own, where names cannot clash with generated modules that
    the same process may import.
    """
    file = descriptor_pb2.FileDescriptorProto(
        name=f"{package.replace('.', '/')}.proto", package=package, syntax="proto3"
    )
    for name, fields in table.items():
        message = file.message_type.add(name=name)
        for field, number, kind in fields:
            if kind.startswith("map<string, "):
                kind = _add_map_entry(message, package, field, kind[len("map<string, ") : -1])
            repeated, _, kind = kind.rpartition(" ")
            _add_field(message, package, (field, number, kind), bool(repeated))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    factory = message_factory.MessageFactory(pool)
    return {
        name: factory.GetPrototype(pool.FindMessageTypeByName(f"{package}.{name}"))
        for name in table
    }


def _add_field(message: Any, package: str, field: tuple[str, int, str], is_repeated: bool) -> None:
    name, number, kind = field
    added = message.field.add(
        name=name,
        number=number,
        label=_Field.LABEL_REPEATED if is_repeated else _Field.LABEL_OPTIONAL,
    )
    if kind in _SCALARS:
        added.type = _SCALARS[kind]
    else:
        added.type = _Field.TYPE_MESSAGE
        added.type_name = f".{package}.{kind}"


def _add_map_entry(message: Any, package: str, field: str, value: str) -> str:
    """Adds the message that protobuf keeps an entry of a map in; returns the field's type."""
    name = "".join(part.capitalize() for part in field.split("_")) + "Entry"
    entry = message.nested_type.add(name=name)
    entry.options.map_entry = True
    _add_field(entry, package, ("key", 1, "string"), False)
    _add_field(entry, package, ("value", 2, value), False)
    return f"repeated {message.name}.{name}"
