"""Frees what a plan says, so that a kill at any instant leaves what the next collection ends.

First goes what the books know nothing of: that makes room for them, if the disk is full. Then they
say that the artifacts are deleted, in one transaction: no run looks one up or takes it from the
cache any more, and lineage still knows it. Only then are these removed; what is left of one that
the books call freed is a leftover to the next collection.

Half a run could be resumed, and half of the checkpoints be gone on with: both leave their place by
a rename before they are removed.
"""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Any

from ml_metadata.proto import metadata_store_pb2

from pipeline.collection.books import FREED
from pipeline.collection.folders import TRASH, is_inside
from pipeline.collection.missing import MISSING, forget_missing_outputs
from pipeline.collection.plan import ARTIFACT, CHECKPOINTS, INPUT, LEFTOVERS, RUN, Plan

_WITHOUT_BOOKS = (LEFTOVERS, INPUT, CHECKPOINTS, RUN)
"""In this order: the first need not even an entry of a folder to go."""


def sweep(store: Any, pipeline: str, root: Path, plan: Plan) -> None:
    """Frees; the caller holds the pipeline's root, and made the plan while it did.

    Raises:
        OSError: if a folder cannot be renamed or removed. The next collection goes on.
        ml_metadata.errors.StatusError: if the books cannot be written. No artifact is then freed.
    """
    for kind in _WITHOUT_BOOKS:
        for folder in plan.freed:
            if folder.kind == kind:
                _remove(root, folder.path, is_whole=kind in (CHECKPOINTS, RUN))
    forget_missing_outputs(store, pipeline)
    artifacts = [folder for folder in plan.freed if folder.kind == ARTIFACT]
    _tell(store, [number for folder in artifacts for number in folder.artifacts])
    for folder in artifacts:
        _remove(root, folder.path)


def _tell(store: Any, numbers: list[int]) -> None:
    artifacts = store.get_artifacts_by_id(numbers) if numbers else []
    for artifact in artifacts:
        artifact.state = metadata_store_pb2.Artifact.DELETED
        artifact.custom_properties[FREED].int_value = 1
        # What is removed by half must not count as there again.
        if MISSING in artifact.custom_properties:
            del artifact.custom_properties[MISSING]
    if artifacts:
        store.put_artifacts(artifacts)


def _remove(root: Path, path: Path, is_whole: bool = False) -> None:
    """Removes a folder or a file.

    Args:
        is_whole: as a whole, so that nobody finds half of it in its place.
    """
    # Again: what was a folder may have become a link since.
    if not path.exists() or not is_inside(root, path):
        return
    if path.is_file():
        path.unlink()
    else:
        shutil.rmtree(_put_aside(root, path) if is_whole else path)


def _put_aside(root: Path, path: Path) -> Path:
    """Renames a folder to trash, which takes no room; returns that."""
    for trash in (root / TRASH, path.parent / TRASH):
        if trash.exists():
            shutil.rmtree(trash)
        try:
            os.rename(path, trash)
        except OSError as error:
            # It lies on a disk that is mounted below the root.
            if error.errno == errno.EXDEV and trash.parent != path.parent:
                continue
            raise
        return trash
    raise AssertionError("a folder and what lies beside it are on one disk")
