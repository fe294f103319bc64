"""Rollback and promotion: a person moves a label, and a running server follows.

Each holds the root's lock, is one replaced models.config, is recorded in the model's history, and
does nothing when it is done a second time.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from serving.atomic_files import exclusive
from serving.history import PROMOTE, ROLLBACK, history_file, read_history, withdrawn
from serving.rollout import Served, move_labels, read_served
from serving.text_configs import MODELS_FILE
from serving.version_folders import is_complete
from serving.version_policy import LABELS, STABLE, labels_after_rollback


class OperationRefused(Exception):
    """An operation that the directory does not allow; nothing has changed.

    Attributes:
        argument: of the operation, the one at fault.
        found: what it was.
        allowed: what it may be.
    """

    def __init__(self, argument: str, found: str, allowed: str) -> None:
        super().__init__(f"{argument}: found {found}; allowed: {allowed}")
        self.argument = argument
        self.found = found
        self.allowed = allowed


@dataclass(frozen=True)
class Moved:
    """The labels of a model before and after an operation, and what is served after it.

    Attributes:
        before: version by label.
        after: version by label.
        served: the versions that servers load now, oldest first; requests without a label go to
            the last.
    """

    before: Mapping[str, int]
    after: Mapping[str, int]
    served: list[int]


def rollback(base: Path, version: int | None = None, poll_seconds: float = 1.0) -> Moved:
    """Makes an older version `stable`; `canary` goes along if it is on the same version.

    Args:
        base: the model's folder, in the root of a serving directory.
        version: None for the version before the stable one, past those that were rolled back
            before.
        poll_seconds: how long servers wait between two looks at models.config.

    Raises:
        OperationRefused: if there is no such version, or it is not older than the stable one.
        google.protobuf.text_format.ParseError, ValueError: if models.config cannot be read.
    """
    root, model_name = _location(base)
    with exclusive(root):
        served = _served(root, model_name)
        if served.stable is None:
            raise OperationRefused("VERSION", f"no version of {model_name}", "one that was pushed")
        stable = served.stable
        older = [found for found in _complete(base, served) if found < stable]
        if version is None:
            entries = read_history(history_file(root, model_name))
            rolled_back = withdrawn(entries, served.labels, older)
            candidates = [found for found in older if found not in rolled_back]
            if not candidates:
                found = f"none before {stable} that was not rolled back"
                by_number = ", by its number" if older else ""
                raise OperationRefused("VERSION", found, f"{_list(older)}{by_number}")
            version = candidates[-1]
        elif version != stable and version not in older:
            hint = ""
            if version in _complete(base, served):
                hint = f"; for a newer one: {_promote_command(base, version)}"
            allowed = f"older than {stable}, the stable one: {_list(older)}{hint}"
            raise OperationRefused("VERSION", _described(base, served, version), allowed)
        labels = labels_after_rollback({**served.standing_labels, STABLE: stable}, version)
        return _moved(root, model_name, ROLLBACK, version, served, labels, poll_seconds)


def promote(base: Path, version: int, label: str, poll_seconds: float = 1.0) -> Moved:
    """Puts a label on a version; other labels stay where they are.

    Args:
        base: the model's folder, in the root of a serving directory.
        label: `stable` or `canary`.
        poll_seconds: how long servers wait between two looks at models.config.

    Raises:
        OperationRefused: if there is no such version or label.
        google.protobuf.text_format.ParseError, ValueError: if models.config cannot be read.
    """
    if label not in LABELS:
        raise OperationRefused("--label", label, ", ".join(LABELS))
    root, model_name = _location(base)
    with exclusive(root):
        served = _served(root, model_name)
        complete = _complete(base, served)
        if version not in complete:
            raise OperationRefused("VERSION", _described(base, served, version), _list(complete))
        labels = {**served.standing_labels, label: version}
        labels.setdefault(STABLE, served.stable or version)
        return _moved(root, model_name, PROMOTE, version, served, labels, poll_seconds)


def _location(base: Path) -> tuple[Path, str]:
    base = base.resolve()
    return base.parent, base.name


def _served(root: Path, model_name: str) -> Served:
    served = read_served(root, model_name)
    if served is None:
        found = f"{root / model_name}, which {root / MODELS_FILE} does not name"
        raise OperationRefused("MODEL", found, "the folder of a model that was pushed")
    return served


def _complete(base: Path, served: Served) -> list[int]:
    return [version for version in served.present if is_complete(base / str(version))]


def _described(base: Path, served: Served, version: int) -> str:
    if version not in served.present:
        return f"{version}, no version in {base}"
    if not is_complete(base / str(version)):
        return f"{version}, which holds no SavedModel"
    return str(version)


def _list(versions: list[int]) -> str:
    return ", ".join(map(str, versions)) if versions else "there is none"


def _promote_command(base: Path, version: int) -> str:
    return f"tapeline promote {shlex.quote(str(base))} {version} --label {STABLE}"


def _moved(
    root: Path,
    model_name: str,
    operation: str,
    version: int,
    served: Served,
    labels: Mapping[str, int],
    poll_seconds: float,
) -> Moved:
    move_labels(root, model_name, operation, version, labels, poll_seconds)
    after = _served(root, model_name)
    return Moved(served.labels, after.labels, after.versions)
