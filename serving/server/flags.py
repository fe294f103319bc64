"""The server's command line: tensorflow_model_server's own flags, and a few beside them.

    python -m serving.server --model_config_file=R/models.config --rest_api_port=8501

Free of TensorFlow: bad flags and bad files are told at once.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from google.protobuf import text_format
from pydantic import ValidationError
from tensorflow_serving.config import model_server_config_pb2

from serving.config import BatchingConfig
from serving.text_configs import Tls, parse_batching, parse_models, parse_monitoring, parse_ssl

FREE_REST_PORT = -1
"""The `--rest_api_port` that takes a free one; tensorflow_model_server has no spelling for it."""

_Parsed = TypeVar("_Parsed")


class InvalidFlags(ValueError):
    """Flags, or a file they name, that no server can start with."""


@dataclass(frozen=True)
class Flags:
    """The flags by name; defaults are tensorflow_model_server's where it has the flag."""

    port: int = 8500
    rest_api_port: int = 0
    host: str = "127.0.0.1"
    model_name: str = "default"
    model_base_path: str = ""
    model_config_file: str = ""
    model_config_file_poll_wait_seconds: float = 0.0
    file_system_poll_wait_seconds: float = 1.0
    enable_batching: bool = False
    batching_parameters_file: str = ""
    enable_per_model_batching_parameters: bool = False
    monitoring_config_file: str = ""
    ssl_config_file: str = ""
    rest_api_timeout_in_ms: int = 30_000
    max_num_load_retries: int = 5
    load_retry_interval_micros: int = 60_000_000
    allow_version_labels_for_unavailable_models: bool = False
    force_allow_any_version_labels_for_unavailable_models: bool = False
    servable_versions_always_present: bool = False
    enable_model_warmup: bool = True
    tensorflow_intra_op_parallelism: int = 0
    grpc_channel_arguments: str = ""
    processes: int = 0
    rest_api_max_body_bytes: int = 64 << 20
    grpc_max_message_bytes: int = 64 << 20
    max_in_flight: int = 256
    max_in_flight_bytes: int = 256 << 20
    drain_seconds: float = 30.0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


_HELP = {
    "port": "gRPC port; 0: a free one, which the ready line names",
    "rest_api_port": "REST port; 0: no REST; -1: a free one, which the ready line names",
    "host": "address to listen on; the default is reached from this machine alone",
    "model_name": "name of the model, where no models.config names them",
    "model_base_path": "absolute folder of its numeric version folders",
    "model_config_file": "ModelServerConfig as text: many models, policies, labels",
    "model_config_file_poll_wait_seconds": "read that file again so often; 0: never",
    "file_system_poll_wait_seconds": "look for new versions so often; 0: once",
    "enable_batching": "run requests together",
    "batching_parameters_file": "BatchingParameters as text; needs --enable_batching",
    "enable_per_model_batching_parameters": "take batching_params.pbtxt from version folders, "
    "where batching is on",
    "monitoring_config_file": "MonitoringConfig as text: Prometheus metrics on the REST port",
    "ssl_config_file": "SSLConfig as text, PEM inline: TLS for gRPC; REST stays plain",
    "rest_api_timeout_in_ms": "a REST request's time, its body's included; 0: no limit",
    "max_num_load_retries": "tries after a first load that failed",
    "load_retry_interval_micros": "time between them",
    "allow_version_labels_for_unavailable_models": "take labels on versions not loaded yet",
    "force_allow_any_version_labels_for_unavailable_models": "move labels to such versions as well",
    "servable_versions_always_present": "serve the last versions on when all folders are gone",
    "enable_model_warmup": "run the warmup requests of a version before it is served",
    "tensorflow_intra_op_parallelism": "threads of one operation; 0: as many as cores",
    "grpc_channel_arguments": "key=value,... for the gRPC server",
    "processes": "processes that share the ports; 0: one for each core",
    "rest_api_max_body_bytes": "larger REST bodies get 413",
    "grpc_max_message_bytes": "larger gRPC messages get RESOURCE_EXHAUSTED",
    "max_in_flight": "requests at once in a process; more get UNAVAILABLE, 503",
    "max_in_flight_bytes": "bytes of the requests at once in a process; more get UNAVAILABLE, 503",
    "drain_seconds": "time to finish what has begun after SIGTERM",
}

_OWN = (
    "host",
    "processes",
    "rest_api_max_body_bytes",
    "grpc_max_message_bytes",
    "max_in_flight",
    "max_in_flight_bytes",
    "drain_seconds",
)


def parse_flags(arguments: Sequence[str]) -> Flags:
    """Returns the flags of a command line: `--flag=value`, `--flag value`, `--flag`, `--noflag`.

    Raises:
        InvalidFlags: for flags that do not go together or are out of range.
        SystemExit: 2 for an unknown flag or a value of the wrong type, 0 after --help.
    """
    values = vars(_parser().parse_args(_without_negations(arguments)))
    flags = Flags(**{name: value for name, value in values.items() if value is not None})
    _check(flags)
    return flags


def _without_negations(arguments: Sequence[str]) -> list[str]:
    """Returns the arguments with `--noflag` as `--flag=false`."""
    negations = {f"--no{field.name}": field.name for field in fields(Flags) if _is_boolean(field)}
    return [
        f"--{negations[argument]}=false" if argument in negations else argument
        for argument in arguments
    ]


def _is_boolean(field: Any) -> bool:
    return isinstance(field.default, bool)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m serving.server",
        usage="%(prog)s --model_config_file=FILE [flags]",
        description="Serve SavedModels over TF Serving's REST and gRPC, from the same files.",
        epilog="example: python -m serving.server --model_name=digits "
        "--model_base_path=/models/digits --rest_api_port=8501",
        allow_abbrev=False,
        argument_default=None,
    )
    shared = parser.add_argument_group("tensorflow_model_server's flags")
    own = parser.add_argument_group("flags of this server alone")
    for field in fields(Flags):
        group = own if field.name in _OWN else shared
        help_text = _HELP[field.name]
        if field.default != "":
            help_text += f" (default {str(field.default).lower()})"
        if _is_boolean(field):
            group.add_argument(
                f"--{field.name}",
                nargs="?",
                const=True,
                type=_boolean,
                metavar="true|false",
                help=help_text,
            )
        else:
            kind = type(field.default)
            metavar = {int: "N", float: "SECONDS", str: "TEXT"}[kind]
            group.add_argument(f"--{field.name}", type=kind, metavar=metavar, help=help_text)
    return parser


def _boolean(text: str) -> bool:
    known = {"true": True, "1": True, "false": False, "0": False}
    if text.lower() not in known:
        raise argparse.ArgumentTypeError(f"found {text!r}; allowed: true, false")
    return known[text.lower()]


def _check(flags: Flags) -> None:
    if not flags.model_base_path and not flags.model_config_file:
        raise InvalidFlags("one of --model_base_path and --model_config_file is needed")
    if flags.batching_parameters_file and not flags.enable_batching:
        raise InvalidFlags("You supplied --batching_parameters_file without --enable_batching")
    for name, least in (("port", 0), ("rest_api_port", FREE_REST_PORT)):
        if not least <= getattr(flags, name) <= 65535:
            raise InvalidFlags(f"--{name}: found {getattr(flags, name)}; allowed: {least} to 65535")
    if flags.port == flags.rest_api_port and flags.port != 0:
        raise InvalidFlags(
            f"--rest_api_port: found {flags.port}, which is --port; allowed: another one"
        )
    for name, least in (
        ("file_system_poll_wait_seconds", 0),
        ("processes", 0),
        ("rest_api_timeout_in_ms", 0),
        ("max_num_load_retries", 0),
        ("rest_api_max_body_bytes", 1),
        ("grpc_max_message_bytes", 1),
        ("max_in_flight", 1),
        ("max_in_flight_bytes", 1),
        ("drain_seconds", 0),
    ):
        if getattr(flags, name) < least:
            raise InvalidFlags(f"--{name}: found {getattr(flags, name)}; allowed: from {least}")
    grpc_arguments(flags)


def process_count(flags: Flags) -> int:
    """Returns how many processes are to serve."""
    return flags.processes or len(os.sched_getaffinity(0))


def grpc_arguments(flags: Flags) -> list[tuple[str, int | str]]:
    """Returns the channel arguments of `--grpc_channel_arguments`."""
    arguments: list[tuple[str, int | str]] = []
    for item in filter(None, flags.grpc_channel_arguments.split(",")):
        key, separator, value = item.partition("=")
        if not separator:
            raise InvalidFlags(f"--grpc_channel_arguments: found {item!r}; allowed: key=value")
        arguments.append((key, int(value) if value.lstrip("-").isdecimal() else value))
    return arguments


def model_server_config(flags: Flags) -> Any:
    """Returns the ModelServerConfig that the flags name or spell out."""
    if flags.model_config_file:
        return _parsed("model_config_file", flags, parse_models)
    config = model_server_config_pb2.ModelServerConfig()
    config.model_config_list.config.add(
        name=flags.model_name, base_path=flags.model_base_path, model_platform="tensorflow"
    )
    return config


def batching(flags: Flags) -> BatchingConfig | None:
    """Returns the batching parameters, None if batching is off."""
    if not flags.enable_batching:
        return None
    if not flags.batching_parameters_file:
        return parse_batching("")
    return _parsed("batching_parameters_file", flags, parse_batching)


def metrics_path(flags: Flags) -> str | None:
    """Returns the path of the metrics, None if they are off."""
    if not flags.monitoring_config_file:
        return None
    monitoring = _parsed("monitoring_config_file", flags, parse_monitoring)
    return monitoring.path if monitoring.is_enabled else None


def tls(flags: Flags) -> Tls | None:
    """Returns what gRPC is to prove itself with, None if it is to be plain."""
    return _parsed("ssl_config_file", flags, parse_ssl) if flags.ssl_config_file else None


def _parsed(name: str, flags: Flags, parse: Callable[[str], _Parsed]) -> _Parsed:
    """Returns what is in a flag's file."""
    path = getattr(flags, name)
    try:
        return parse(_read(name, path))
    except (text_format.ParseError, ValidationError, ValueError) as error:
        if isinstance(error, InvalidFlags):
            raise
        raise InvalidFlags(f"--{name}: {path}: {_one_line(error)}") from error


def _read(name: str, path: str) -> str:
    try:
        return Path(path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise InvalidFlags(f"--{name}: {path}: {reason}") from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
