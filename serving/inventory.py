"""What a model's folder holds, version by version, for those who ask; writes nothing."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from serving.rollout import Served, read_folder
from serving.version_folders import MANIFEST, MODEL_CARD, is_complete, read_manifest
from serving.version_policy import STABLE


@dataclass(frozen=True)
class VersionInfo:
    """One version.

    Attributes:
        pushed: when it came into the directory, ISO 8601, UTC.
        labels: those that it has.
        is_served: whether a server that reads models.config loads it.
        is_default: whether requests without a label go to it.
        is_complete: whether it holds a SavedModel.
        digest: SHA-256 of the pushed files; None if another program put the version there.
        size_bytes: of all its files.
        metrics: by name, from its model card; {} if it has none.
    """

    version: int
    folder: Path
    pushed: str
    labels: list[str]
    is_served: bool
    is_default: bool
    is_complete: bool
    digest: str | None
    size_bytes: int
    metrics: dict[str, Any]


def list_versions(base: Path) -> list[VersionInfo]:
    """Returns the versions of the model whose folder is `base`, oldest first.

    Raises:
        google.protobuf.text_format.ParseError, ValueError: if models.config cannot be read.
    """
    base = base.resolve()
    served = read_folder(base.parent, base.name)
    return list(_infos(base, served))


def _infos(base: Path, served: Served) -> Iterator[VersionInfo]:
    for version in served.present:
        folder = base / str(version)
        # A push that runs meanwhile may retire a version.
        with contextlib.suppress(FileNotFoundError):
            yield VersionInfo(
                version=version,
                folder=folder,
                pushed=_pushed(folder),
                labels=sorted(label for label, found in served.labels.items() if found == version),
                is_served=version in served.versions,
                is_default=version == served.default,
                is_complete=is_complete(folder),
                digest=read_manifest(folder).get("digest"),
                size_bytes=sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
                metrics=_metrics(folder),
            )


def default_version(base: Path) -> Path | None:
    """Returns the folder of the version that a request without a label goes to, if there is one.

    That is the largest that is served, TF Serving's rule; where no models.config names the model,
    the newest.

    Raises:
        google.protobuf.text_format.ParseError, ValueError: if models.config cannot be read.
    """
    where = base.resolve()
    version = read_folder(where.parent, where.name).default
    return None if version is None else base / str(version)


def default_warning(labels: Mapping[str, int], served: Sequence[int]) -> str | None:
    """Returns what to tell if requests without a label do not go to the stable version."""
    stable = labels.get(STABLE)
    if stable is None or not served or served[-1] == stable:
        return None
    others = ", ".join(sorted(label for label, version in labels.items() if version == served[-1]))
    return (
        f"a request without a label goes to the largest version that is served, {served[-1]}"
        f"{f' ({others})' if others else ''}; clients that want {stable} ask for the label {STABLE}"
    )


def _pushed(folder: Path) -> str:
    manifest = folder / MANIFEST
    seconds = (manifest if manifest.is_file() else folder).stat().st_mtime
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="seconds")


def _metrics(folder: Path) -> dict[str, Any]:
    try:
        metrics = json.loads((folder / MODEL_CARD).read_text(encoding="utf-8"))["metrics"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    if not isinstance(metrics, dict):
        return {}
    return {name: value for name, value in metrics.items() if _is_number(value)}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
