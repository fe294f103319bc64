"""The serving directory: numeric versions, each complete or absent, and TF Serving's files.

    <root>/models.config  <root>/batching.config  <root>/monitoring.config
    <root>/<model name>.history.jsonl  <root>/<model name>/<version>/saved_model.pb

A version is copied to a hidden folder under the root, checked there, and renamed into place: a
server that polls the directory sees all of it or nothing. Its label follows in models.config.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving.atomic_files import exclusive, replace_text, sync_folder, sync_tree
from serving.config import BatchingConfig, ServeConfig
from serving.history import PUSH, history_file, read_history, was_labelled
from serving.rollout import make_room, models_config, move_labels, read_folder, versions_in_use
from serving.text_configs import (
    BATCHING_FILE,
    MODELS_FILE,
    MONITORING_FILE,
    VERSION_BATCHING_FILE,
    batching_text,
    models_text,
    monitoring_text,
)
from serving.version_batching import set_batching
from serving.version_folders import (
    MANIFEST,
    content_digest,
    newest_version,
    read_manifest,
    versions,
)
from serving.version_policy import STABLE, labels_after_push

__all__ = [
    "Publication",
    "content_digest",
    "newest_version",
    "publish",
    "read_manifest",
    "versions",
]

_STAGING_PREFIX = ".tapeline-staging-"


@dataclass(frozen=True)
class Publication:
    """A version that is in place; `is_new` is False if the newest one held the same model."""

    folder: Path
    is_new: bool


def publish(
    saved_model: Path,
    root: Path,
    model_name: str,
    config: ServeConfig,
    manifest: dict[str, Any],
    check: Callable[[Path], None],
    complete: Callable[[Path, str], None] | None = None,
) -> Publication:
    """Puts a SavedModel into the serving directory as its newest version, and labels it.

    The same model again changes no label that was ever set: a model that was rolled back stays
    so until a newer one is pushed, or it is promoted.

    Args:
        saved_model: folder of the SavedModel.
        manifest: plain JSON about where the model comes from, kept in the version's
            `assets.extra`.
        check: raises if the staged copy, which it is given, must not be served.
        complete: adds files to a staged copy before the check; is given it and the model's digest.

    Raises:
        Exception: what `check` or the file system raises. The directory is then as it was, but for
            a failure after the rename: the new version is whole, and the next push brings the
            files beside it up to date.
    """
    base = root / model_name
    digest = content_digest(saved_model)
    made = _make_missing(base)
    with exclusive(root, create=True):
        try:
            # Another push that was refused may have taken back the folders that it made.
            base.mkdir(parents=True, exist_ok=True)
            remove_stale_staging(root)
            # Reads models.config, so that one that is broken is found before anything is done.
            make_room(root, model_name)
            labelled = set(read_folder(root, model_name).labels.values())
            newest = newest_version(base)
            is_new = newest is None or read_manifest(newest).get("digest") != digest
            if is_new:
                contents = {**manifest, "digest": digest}
                folder = _put(
                    saved_model, root, model_name, contents, config.batching, check, complete
                )
            else:
                assert newest is not None
                folder = newest
                set_batching(folder, config.batching)
            _write_server_files(root, config.batching)
            _label(root, model_name, int(folder.name), is_new, config)
            _retire(base, config.keep_versions, root, labelled)
            return Publication(folder, is_new)
        except BaseException:
            # Under the lock: a push that has it next must not lose the folder that it locked.
            for parent in made:
                with contextlib.suppress(OSError):
                    parent.rmdir()
            raise


def _put(
    saved_model: Path,
    root: Path,
    model_name: str,
    manifest: dict[str, Any],
    batching: BatchingConfig,
    check: Callable[[Path], None],
    complete: Callable[[Path, str], None] | None,
) -> Path:
    """Copies, checks and renames a SavedModel into place; returns the version's folder."""
    base = root / model_name
    staging = Path(tempfile.mkdtemp(prefix=_STAGING_PREFIX, dir=root))
    try:
        staged = staging / "model"
        shutil.copytree(saved_model, staged)
        if complete is not None:
            complete(staged, manifest["digest"])
        check(staged)
        (staged / MANIFEST).parent.mkdir(exist_ok=True)
        (staged / MANIFEST).write_text(json.dumps(manifest, indent=2))
        (staged / VERSION_BATCHING_FILE).write_text(batching_text(batching))
        sync_tree(staged)
        folder = base / str(_next_version(root, model_name))
        os.rename(staged, folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    sync_folder(base)
    return folder


def _next_version(root: Path, model_name: str) -> int:
    """Returns the time in seconds, or one more than any version that is, or is on record.

    Clocks go back, two pushes can share a second, and folders are removed by hand; a number that
    stood for one model never stands for another.
    """
    recorded = [entry.version for entry in read_history(history_file(root, model_name))]
    return max([int(time.time()), *(v + 1 for v in (*versions(root / model_name), *recorded))])


def _write_server_files(root: Path, batching: BatchingConfig) -> None:
    """Writes what servers are started with beside models.config, before that names a model."""
    replace_text(root / BATCHING_FILE, batching_text(batching))
    replace_text(root / MONITORING_FILE, monitoring_text())


def _label(root: Path, model_name: str, version: int, is_new: bool, config: ServeConfig) -> None:
    """Labels a version that was pushed, or that a killed push left without a label."""
    served = read_folder(root, model_name)
    labels = served.standing_labels
    entries = read_history(history_file(root, model_name))
    was_released = version in labels.values() or was_labelled(entries, version)
    if is_new or not was_released or STABLE not in labels:
        labels = labels_after_push(labels, version, config.push_to)
        poll_seconds = config.model_config_file_poll_wait_seconds
        move_labels(root, model_name, PUSH, version, labels, poll_seconds)
    # The directory may have been moved.
    base_path = str((root / model_name).resolve())
    replace_text(root / MODELS_FILE, models_text(models_config(root), model_name, base_path))


def remove_stale_staging(root: Path) -> None:
    """Removes what a killed push left behind."""
    for stale in root.glob(f"{_STAGING_PREFIX}*"):
        shutil.rmtree(stale)


def _retire(base: Path, keep: int, root: Path, labelled: set[int]) -> None:
    """Removes all but the newest `keep` versions, each by a rename before it is deleted.

    What models.config serves or labels stays, however old, and so does what was `labelled` before:
    the label stays there, in a server, until the new version is loaded.
    """
    in_use = versions_in_use(root, base) | labelled
    for version in versions(base)[:-keep]:
        if version in in_use:
            continue
        doomed = Path(tempfile.mkdtemp(prefix=_STAGING_PREFIX, dir=root))
        os.rename(base / str(version), doomed / "model")
        shutil.rmtree(doomed)


def _make_missing(folder: Path) -> list[Path]:
    """Makes a folder and its parents; returns those that were missing, innermost first."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return missing
