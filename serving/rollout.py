"""How the labels of a model move: by one replaced models.config, which a running server reads.

    <root>/models.config  <root>/<model name>.history.jsonl

The callers hold the root's lock. Labels change by a single rename of models.config, and nothing
else of it does but which versions are served; that file alone is the truth.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from serving.atomic_files import replace_text
from serving.history import history_file, record
from serving.text_configs import MODELS_FILE, models_text, parse_model_list
from serving.version_folders import is_complete, versions
from serving.version_policy import (
    LABELS,
    STABLE,
    VersionPolicy,
    needs_loading,
    policy_before_new_version,
    policy_for,
)


@dataclass(frozen=True)
class Served:
    """A model as models.config has it.

    Attributes:
        present: the versions on disk, oldest first.
        labels: version by label, as they are in the file.
        versions: those that a server loads, oldest first.
    """

    present: list[int]
    labels: dict[str, int]
    policy: VersionPolicy
    versions: list[int]

    @property
    def default(self) -> int | None:
        """The version that answers a request without a label or a version: the largest."""
        return self.versions[-1] if self.versions else None

    @property
    def standing_labels(self) -> dict[str, int]:
        """The labels without those of ours whose version is gone."""
        return {
            label: version
            for label, version in self.labels.items()
            if version in self.present or label not in LABELS
        }

    @property
    def stable(self) -> int | None:
        """The version that has the label, else the one that requests without a label go to."""
        return self.standing_labels.get(STABLE, self.default)


def read_served(root: Path, model_name: str) -> Served | None:
    """Returns what models.config says of a model; None if it is not in there.

    Raises:
        google.protobuf.text_format.ParseError: if models.config is broken.
        ValueError: if it is of the kind that lists no models.
    """
    models = parse_model_list(models_config(root)).model_config_list.config
    entry = next((model for model in models if model.name == model_name), None)
    if entry is None:
        return None
    present = versions(root / model_name)
    policy = VersionPolicy.read(entry.model_version_policy)
    return Served(present, dict(entry.version_labels), policy, policy.served(present))


def read_folder(root: Path, model_name: str) -> Served:
    """Returns what models.config says of a model, else what a server does that has the folder.

    Raises: as `read_served`.
    """
    served = read_served(root, model_name)
    if served is not None:
        return served
    present = versions(root / model_name)
    return Served(present, {}, VersionPolicy(latest=1), present[-1:])


def models_config(root: Path) -> str:
    """Returns the text of models.config, "" if there is none."""
    path = root / MODELS_FILE
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def make_room(root: Path, model_name: str) -> None:
    """Makes sure that a new version, once visible, pushes no labelled one out of the latest."""
    served = read_served(root, model_name)
    if served is None or served.default is None:
        return
    labels = served.standing_labels or {STABLE: served.default}
    policy = policy_before_new_version(served.policy, labels, served.present)
    _replace_models(root, model_name, None, policy)


def move_labels(
    root: Path,
    model_name: str,
    operation: str,
    version: int,
    labels: Mapping[str, int],
    poll_seconds: float,
) -> None:
    """Records an operation, and sets the labels of a model and what is served for them.

    A version that is not loaded yet, though an existing label moves to it, is served first; the
    label follows when every server has read that. Nothing happens if the labels are set already.

    Args:
        version: the one that the operation is about, for the record.
        labels: all that the model has from now on.
        poll_seconds: how long a server waits between two looks at models.config.

    Raises:
        OSError: if a file cannot be written; the labels are then as they were.
    """
    served = read_folder(root, model_name)
    complete = [v for v in served.versions if is_complete(root / model_name / str(v))]
    on_disk = {label: found for label, found in labels.items() if found in served.present}
    policy = policy_for(on_disk, complete, served.present)
    if served.labels != labels:
        record(history_file(root, model_name), operation, version, served.labels, labels)
    unloaded = needs_loading(served.labels, labels, served.versions)
    if unloaded:
        both = VersionPolicy(specific=frozenset(served.versions) | unloaded)
        _replace_models(root, model_name, None, both)
        # A server may have looked just before; the look after the next is late enough.
        time.sleep(2 * poll_seconds)
    _replace_models(root, model_name, labels, policy)


def versions_in_use(root: Path, base: Path) -> set[int]:
    """Returns the versions under `base` that a model of models.config serves or labels.

    Raises: as `read_served`.
    """
    present = versions(base)
    found: set[int] = set()
    for entry in parse_model_list(models_config(root)).model_config_list.config:
        if Path(entry.base_path) == base.resolve():
            found |= set(VersionPolicy.read(entry.model_version_policy).served(present))
            found |= set(entry.version_labels.values())
    return found


def _replace_models(
    root: Path, model_name: str, labels: Mapping[str, int] | None, policy: VersionPolicy
) -> None:
    base_path = str((root / model_name).resolve())
    text = models_text(models_config(root), model_name, base_path, labels, policy)
    replace_text(root / MODELS_FILE, text)
