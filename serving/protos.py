"""TF Serving's configuration messages that its Python package leaves out.

Text format goes by field names, which are those of TF Serving's own `session_bundle_config.proto`,
`monitoring_config.proto` and `ssl_config.proto`; numbers are kept equal to theirs as well.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf import wrappers_pb2 as _wrappers  # noqa: F401  registers the wrapped types

_Field = descriptor_pb2.FieldDescriptorProto
_PACKAGE = "tapeline.serving"
_FILE = "tapeline/server_config.proto"

_TYPES = {
    "bool": _Field.TYPE_BOOL,
    "int64": _Field.TYPE_INT64,
    "string": _Field.TYPE_STRING,
}

# Message -> (field, number, type); a type with a capital is a message.
_MESSAGES: dict[str, tuple[tuple[str, int, str], ...]] = {
    "BatchingParameters": (
        ("max_batch_size", 1, "google.protobuf.Int64Value"),
        ("batch_timeout_micros", 2, "google.protobuf.Int64Value"),
        ("max_enqueued_batches", 3, "google.protobuf.Int64Value"),
        ("num_batch_threads", 4, "google.protobuf.Int64Value"),
        ("thread_pool_name", 5, "google.protobuf.StringValue"),
        ("allowed_batch_sizes", 6, "repeated int64"),
        ("pad_variable_length_inputs", 7, "bool"),
        ("enable_large_batch_splitting", 8, "google.protobuf.BoolValue"),
        ("max_execution_batch_size", 9, "google.protobuf.Int64Value"),
    ),
    "PrometheusConfig": (("enable", 1, "bool"), ("path", 2, "string")),
    "MonitoringConfig": (("prometheus_config", 1, f"{_PACKAGE}.PrometheusConfig"),),
    "SSLConfig": (
        ("server_key", 1, "string"),
        ("server_cert", 2, "string"),
        ("custom_ca", 3, "string"),
        ("client_verify", 4, "bool"),
    ),
}


@cache
def _pool() -> descriptor_pool.DescriptorPool:
    file = descriptor_pb2.FileDescriptorProto(
        name=_FILE,
        package=_PACKAGE,
        syntax="proto3",
        dependency=["google/protobuf/wrappers.proto"],
    )
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, number, kind in fields:
            repeated, _, kind = kind.rpartition(" ")
            added = message.field.add(
                name=field,
                number=number,
                label=_Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL,
            )
            if kind in _TYPES:
                added.type = _TYPES[kind]
            else:
                added.type = _Field.TYPE_MESSAGE
                added.type_name = f".{kind}"
    pool = descriptor_pool.Default()
    pool.Add(file)
    return pool


@cache
def message_class(name: str) -> Any:
    """Returns the class of BatchingParameters, MonitoringConfig, PrometheusConfig or SSLConfig."""
    factory = message_factory.MessageFactory(_pool())
    return factory.GetPrototype(_pool().FindMessageTypeByName(f"{_PACKAGE}.{name}"))
