"""Which versions are wanted, and what is to be done next: TF Serving's rules, as functions.

Sources: file_system_storage_path_source.cc, availability_preserving_policy.cc, server_core.cc.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, Literal

from grpc import StatusCode

from serving.server.errors import ServingError, invalid_argument

PLATFORM = "tensorflow"
_INT64 = range(-(2**63), 2**63)


class State(IntEnum):
    """ModelVersionStatus.State."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclass(frozen=True)
class Snapshot:
    """A version that is managed.

    Attributes:
        is_new: nothing has been done with it yet.
        is_ready: it can answer requests.
    """

    version: int
    is_aspired: bool
    is_new: bool = False
    is_ready: bool = False


@dataclass(frozen=True)
class Action:
    """What to do with a version next."""

    verb: Literal["load", "unload"]
    version: int


def version_number(name: str) -> int | None:
    """Returns the version that a folder's name stands for, None if it is none.

    As TF Serving reads it: 007 is 7.
    """
    if not re.fullmatch(r"\s*-?[0-9]+\s*", name, re.ASCII):
        return None
    number = int(name)
    return number if number in _INT64 else None


def folders_by_version(base: Path, names: Iterable[str]) -> dict[int, Path]:
    """Returns the folder of each version under `base`; of two for one, the last by name."""
    numbered = ((version_number(name), name) for name in sorted(names))
    return {number: base / name for number, name in numbered if number is not None}


def aspired_versions(policy: Any, present: Collection[int]) -> set[int]:
    """Returns which of the versions that are present a ServableVersionPolicy wants served."""
    choice = policy.WhichOneof("policy_choice")
    if choice == "all":
        return set(present)
    if choice == "specific":
        return set(policy.specific.versions) & set(present)
    count = max(policy.latest.num_versions, 1)
    return set(sorted(present)[-count:])


def next_action(versions: Collection[Snapshot]) -> Action | None:
    """Returns what to do next with the versions of one model.

    A version that is no longer aspired is unloaded when one that is aspired can answer, or when
    none is aspired; until then the newest of them goes on answering.
    """
    aspired = [entry for entry in versions if entry.is_aspired]
    outdated = [entry.version for entry in versions if entry.is_ready and not entry.is_aspired]
    is_served = any(entry.is_ready for entry in aspired)
    if outdated and (not aspired or is_served or len(outdated) > 1):
        return Action("unload", min(outdated))
    new = [entry.version for entry in aspired if entry.is_new]
    return Action("load", max(new)) if new else None


def check_config(config: Any) -> None:
    """Holds a ModelServerConfig to TF Serving's rules.

    Raises:
        ServingError: INVALID_ARGUMENT, or UNIMPLEMENTED for a custom_model_config.
    """
    if config.HasField("custom_model_config"):
        raise ServingError(
            StatusCode.UNIMPLEMENTED, "ModelServer does not yet support custom model config."
        )
    names: set[str] = set()
    for model in config.model_config_list.config:
        if not model.name:
            raise invalid_argument("Illegal to list a model without a name in config list")
        if model.name in names:
            raise invalid_argument(
                f"Illegal to list model {model.name} multiple times in config list"
            )
        names.add(model.name)
        if not Path(model.base_path).is_absolute():
            raise invalid_argument(
                f"Expected model {model.name} to have an absolute path or URI; got "
                f"base_path()={model.base_path}"
            )
        _check_platform(model)


def _check_platform(model: Any) -> None:
    if model.model_type and model.model_platform:
        raise invalid_argument(
            "Illegal setting both ModelServerConfig::model_type (deprecated) and "
            "ModelServerConfig::model_platform."
        )
    if not model.model_type and not model.model_platform:
        raise invalid_argument(
            "Illegal setting neither ModelServerConfig::model_type (deprecated) nor "
            "ModelServerConfig::model_platform."
        )
    if model.model_type not in (0, 1):  # 1 is TENSORFLOW
        raise invalid_argument(
            f"ModelServerConfig::model_type choice {model.model_type} not supported."
        )
    if model.model_platform and model.model_platform != PLATFORM:
        raise invalid_argument(
            f"Model {model.name} requests unsupported platform {model.model_platform}"
        )


def version_labels(
    config: Any,
    available: Mapping[str, Collection[int]],
    assigned: Mapping[str, Mapping[str, int]],
    allow_unavailable: bool,
) -> dict[str, dict[str, int]]:
    """Returns the labels of each model: version by label.

    Args:
        available: the versions of each model that can answer.
        assigned: the labels until now.
        allow_unavailable: whether a label that is new may stand on a version that cannot answer
            yet; one that moves never may.

    Raises:
        ServingError: FAILED_PRECONDITION if a label may not stand where it should.
    """
    labels: dict[str, dict[str, int]] = {}
    for model in config.model_config_list.config:
        labels[model.name] = dict(model.version_labels)
        for label, version in sorted(model.version_labels.items()):
            moves = assigned.get(model.name, {}).get(label, version) != version
            if version not in available.get(model.name, ()) and (moves or not allow_unavailable):
                raise ServingError(
                    StatusCode.FAILED_PRECONDITION,
                    f"Request to assign label to version {version} of model {model.name}, which "
                    "is not currently available for inference",
                )
    return labels
