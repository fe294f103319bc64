"""TF Serving's own configuration files, in protobuf text format.

`--model_config_file` takes models.config, `--batching_parameters_file` batching.config,
`--monitoring_config_file` monitoring.config; `--enable_per_model_batching_parameters` has
batching_params.pbtxt read from each version's folder. `--ssl_config_file` takes one of the user's.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from serving.config import BatchingConfig
from serving.protos import message_class
from serving.version_policy import VersionPolicy

MODELS_FILE = "models.config"
BATCHING_FILE = "batching.config"
MONITORING_FILE = "monitoring.config"
VERSION_BATCHING_FILE = "batching_params.pbtxt"
DEFAULT_METRICS_PATH = "/monitoring/prometheus/metrics"


@dataclass(frozen=True)
class Monitoring:
    """Whether and where the REST port shows metrics to Prometheus."""

    is_enabled: bool = False
    path: str = DEFAULT_METRICS_PATH


@dataclass(frozen=True)
class Tls:
    """What a server proves itself with, and what it asks of clients; PEM in all of it.

    Attributes:
        client_verify: clients must show a certificate.
        custom_ca: what theirs must be signed by; needed where they are asked for.
    """

    server_key: str
    server_cert: str
    custom_ca: str = ""
    client_verify: bool = False


def batching_text(config: BatchingConfig) -> str:
    """Returns batching.config for a validated configuration."""
    message = message_class("BatchingParameters")(allowed_batch_sizes=config.allowed_batch_sizes)
    message.max_batch_size.value = config.max_batch_size
    message.batch_timeout_micros.value = config.batch_timeout_micros
    message.max_enqueued_batches.value = config.max_enqueued_batches
    message.num_batch_threads.value = config.num_batch_threads
    message.pad_variable_length_inputs = config.pad_variable_length_inputs
    if config.enable_large_batch_splitting:
        message.enable_large_batch_splitting.value = True
        message.max_execution_batch_size.value = config.execution_batch_size
    return text_format.MessageToString(message)


def parse_batching(text: str) -> BatchingConfig:
    """Reads batching.config as TF Serving does, with its defaults, and holds it to its rules.

    Raises:
        google.protobuf.text_format.ParseError: if it is not BatchingParameters in text format.
        pydantic.ValidationError: if a rule is broken.
    """
    message = text_format.Parse(text, message_class("BatchingParameters")())
    values: dict[str, Any] = {
        "max_batch_size": 1000,
        "batch_timeout_micros": 0,
        "max_enqueued_batches": 10,
        "num_batch_threads": len(os.sched_getaffinity(0)),
    }
    for field, value in message.ListFields():
        if field.name == "thread_pool_name":
            continue  # names metrics of TF Serving, and changes nothing
        if field.message_type is not None:
            value = value.value
        values[field.name] = list(value) if field.name == "allowed_batch_sizes" else value
    if not values["max_enqueued_batches"] and not values.get("enable_large_batch_splitting"):
        values["max_enqueued_batches"] = 1  # as TF Serving reads it
    return BatchingConfig(**values)


def parse_models(text: str) -> model_server_config_pb2.ModelServerConfig:
    """Reads models.config.

    Raises:
        google.protobuf.text_format.ParseError: if it is not ModelServerConfig in text format.
    """
    return text_format.Parse(text, model_server_config_pb2.ModelServerConfig())


def monitoring_text() -> str:
    """Returns monitoring.config: Prometheus metrics on TF Serving's own path of the REST port."""
    message = message_class("MonitoringConfig")()
    message.prometheus_config.enable = True
    message.prometheus_config.path = DEFAULT_METRICS_PATH
    return text_format.MessageToString(message)


def parse_monitoring(text: str) -> Monitoring:
    """Reads a MonitoringConfig.

    Raises:
        google.protobuf.text_format.ParseError: if it is not one in text format.
        ValueError: if the path is not absolute.
    """
    config = text_format.Parse(text, message_class("MonitoringConfig")()).prometheus_config
    path = config.path or DEFAULT_METRICS_PATH
    if not path.startswith("/"):
        raise ValueError(f"prometheus_config.path: found {path!r}; allowed: one that begins with /")
    return Monitoring(config.enable, path)


def parse_ssl(text: str) -> Tls:
    """Reads an SSLConfig: the keys and certificates themselves are in it, not their paths.

    Raises:
        google.protobuf.text_format.ParseError: if it is not one in text format.
        ValueError: if the server's key or certificate is missing.
    """
    config = text_format.Parse(text, message_class("SSLConfig")())
    for field in ("server_key", "server_cert"):
        if not getattr(config, field):
            raise ValueError(f"{field}: found nothing; allowed: PEM text")
    return Tls(config.server_key, config.server_cert, config.custom_ca, config.client_verify)


def parse_model_list(text: str) -> model_server_config_pb2.ModelServerConfig:
    """Reads a models.config that lists models, as all of ours do; "" lists none.

    Raises:
        google.protobuf.text_format.ParseError: if it is not ModelServerConfig in text format.
        ValueError: if it is of the kind that lists no models.
    """
    server = parse_models(text)
    if server.HasField("custom_model_config"):
        raise ValueError(
            f"{MODELS_FILE}: found custom_model_config; allowed: model_config_list, since a model "
            "cannot be added to the other"
        )
    return server


def models_text(
    existing: str,
    model_name: str,
    base_path: str,
    labels: Mapping[str, int] | None = None,
    policy: VersionPolicy | None = None,
) -> str:
    """Returns models.config with the model in it; other models, and other fields, as they were.

    Args:
        existing: the file's present text, "" for none.
        base_path: absolute; holds the numeric version folders.
        labels: version by label; None for those that it has.
        policy: which versions are served; None for the one that it has.

    Raises:
        google.protobuf.text_format.ParseError: if the present text is broken.
        ValueError: if it is of the kind that lists no models.
    """
    server = parse_model_list(existing)
    models = server.model_config_list.config
    entry = next((model for model in models if model.name == model_name), None)
    if entry is None:
        entry = models.add(name=model_name)
    entry.base_path = base_path
    entry.model_platform = "tensorflow"
    if labels is not None:
        entry.version_labels.clear()
        entry.version_labels.update(labels)
    if policy is not None:
        policy.write(entry.model_version_policy)
    return text_format.MessageToString(server)
