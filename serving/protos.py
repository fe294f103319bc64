"""TF Serving's configuration messages that its Python package leaves out.

Text format goes by field names, which are those of TF Serving's own `session_bundle_config.proto`,
`monitoring_config.proto` and `ssl_config.proto`; numbers are kept equal to theirs as well.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from serving.message_table import Table, build_messages

_TABLE: Table = {
    # As in `google/protobuf/wrappers.proto`: a field that tells "not given" from its zero.
    "BoolValue": [("value", 1, "bool")],
    "Int64Value": [("value", 1, "int64")],
    "StringValue": [("value", 1, "string")],
    "BatchingParameters": [
        ("max_batch_size", 1, "Int64Value"),
        ("batch_timeout_micros", 2, "Int64Value"),
        ("max_enqueued_batches", 3, "Int64Value"),
        ("num_batch_threads", 4, "Int64Value"),
        ("thread_pool_name", 5, "StringValue"),
        ("allowed_batch_sizes", 6, "repeated int64"),
        ("pad_variable_length_inputs", 7, "bool"),
        ("enable_large_batch_splitting", 8, "BoolValue"),
        ("max_execution_batch_size", 9, "Int64Value"),
    ],
    "PrometheusConfig": [("enable", 1, "bool"), ("path", 2, "string")],
    "MonitoringConfig": [("prometheus_config", 1, "PrometheusConfig")],
    "SSLConfig": [
        ("server_key", 1, "string"),
        ("server_cert", 2, "string"),
        ("custom_ca", 3, "string"),
        ("client_verify", 4, "bool"),
    ],
}


@cache
def _classes() -> dict[str, Any]:
    return build_messages("tapeline.serving.config", _TABLE)


def message_class(name: str) -> Any:
    """Returns the class of BatchingParameters, MonitoringConfig, PrometheusConfig or SSLConfig."""
    return _classes()[name]
