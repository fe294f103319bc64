"""The serving directory: numeric versions, each complete or absent, and TF Serving's files.

    <root>/models.config  <root>/batching.config  <root>/<model name>/<version>/saved_model.pb

A version is copied to a hidden folder under the root, checked there, and renamed into place: a
server that polls the directory sees all of it or nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving.config import ServeConfig
from serving.text_configs import BATCHING_FILE, MODELS_FILE, batching_text, models_text

_STAGING_PREFIX = ".tapeline-staging-"
_MANIFEST = Path("assets.extra", "tapeline.json")


@dataclass(frozen=True)
class Publication:
    """A version that is in place; `is_new` is False if the newest one held the same model."""

    folder: Path
    is_new: bool


def versions(base: Path) -> list[int]:
    """Returns the versions of the model under `base`, oldest first."""
    if not base.is_dir():
        return []
    names = [entry.name for entry in base.iterdir() if entry.is_dir() and entry.name.isdecimal()]
    # Such as 007 is a number to TF Serving too, but not a version that a push makes.
    return sorted(int(name) for name in names if name == str(int(name)))


def newest_version(base: Path) -> Path | None:
    """Returns the folder of the newest version, if there is one."""
    present = versions(base)
    return base / str(present[-1]) if present else None


def publish(
    saved_model: Path,
    root: Path,
    model_name: str,
    config: ServeConfig,
    manifest: dict[str, Any],
    check: Callable[[Path], None],
) -> Publication:
    """Puts a SavedModel into the serving directory as its newest version.

    Args:
        saved_model: folder of the SavedModel.
        manifest: plain JSON about where the model comes from, kept in the version's
            `assets.extra`.
        check: raises if the staged copy, which it is given, must not be served.

    Raises:
        Exception: what `check` or the file system raises. The directory is then as it was, but for
            a failure after the rename: the new version is whole, and the next push brings the
            files beside it up to date.
    """
    base = root / model_name
    digest = content_digest(saved_model)
    made = _make_missing(base)
    try:
        with exclusive(root):
            # Another push that was refused may have taken back the folders that it made.
            base.mkdir(parents=True, exist_ok=True)
            remove_stale_staging(root)
            server_files = _server_files(root, model_name, config)
            newest = newest_version(base)
            is_new = newest is None or read_manifest(newest).get("digest") != digest
            if is_new:
                folder = _put(saved_model, root, base, {**manifest, "digest": digest}, check)
            else:
                assert newest is not None
                folder = newest
            for path, text in server_files.items():
                _replace_text(path, text)
            _retire(base, config.keep_versions, root)
            return Publication(folder, is_new)
    except BaseException:
        for parent in made:
            with contextlib.suppress(OSError):
                parent.rmdir()
        raise


def _put(
    saved_model: Path,
    root: Path,
    base: Path,
    manifest: dict[str, Any],
    check: Callable[[Path], None],
) -> Path:
    """Copies, checks and renames a SavedModel into place; returns the version's folder."""
    staging = Path(tempfile.mkdtemp(prefix=_STAGING_PREFIX, dir=root))
    try:
        staged = staging / "model"
        shutil.copytree(saved_model, staged)
        check(staged)
        (staged / _MANIFEST).parent.mkdir(exist_ok=True)
        (staged / _MANIFEST).write_text(json.dumps(manifest, indent=2))
        _sync(staged)
        # Clocks go back and two pushes can share a second; a version never does either.
        version = max([int(time.time()), *(present + 1 for present in versions(base))])
        folder = base / str(version)
        os.rename(staged, folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    _sync_folder(base)
    return folder


@contextlib.contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Holds a lock on a folder, without a file in it; a second holder waits for the first."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def read_manifest(version: Path) -> dict[str, Any]:
    """Returns the manifest of a version, {} if another program put the version there."""
    try:
        return json.loads((version / _MANIFEST).read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}


def content_digest(folder: Path) -> str:
    """Returns the SHA-256 of the files under `folder`, their names and contents."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(str(path.relative_to(folder)).encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _server_files(root: Path, model_name: str, config: ServeConfig) -> dict[Path, str]:
    """Returns the texts of models.config and batching.config.

    Raises:
        google.protobuf.text_format.ParseError: if the present models.config is broken.
    """
    models = root / MODELS_FILE
    existing = models.read_text() if models.is_file() else ""
    base_path = str((root / model_name).resolve())
    return {
        models: models_text(existing, model_name, base_path),
        root / BATCHING_FILE: batching_text(config.batching),
    }


def remove_stale_staging(root: Path) -> None:
    """Removes what a killed push left behind."""
    for stale in root.glob(f"{_STAGING_PREFIX}*"):
        shutil.rmtree(stale)


def _retire(base: Path, keep: int, root: Path) -> None:
    """Removes all but the newest `keep` versions, each by a rename before it is deleted."""
    for version in versions(base)[:-keep]:
        doomed = Path(tempfile.mkdtemp(prefix=_STAGING_PREFIX, dir=root))
        os.rename(base / str(version), doomed / "model")
        shutil.rmtree(doomed)


def _make_missing(folder: Path) -> list[Path]:
    """Makes a folder and its parents; returns those that were missing, innermost first."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return missing


def _replace_text(path: Path, text: str) -> None:
    """Writes a text beside its file and renames it; leaves a file alone that has it already."""
    if path.is_file() and path.read_text() == text:
        return
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text)
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(partial, path)


def _sync(folder: Path) -> None:
    """Flushes a tree to disk, so that a rename never becomes visible before its content."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        else:
            _sync_folder(path)
    _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
