"""Frees what a plan says, so that a kill at any instant leaves what the next collection ends.

First the books say that the artifacts are deleted, in one transaction: no run looks one up or
takes it from the cache any more, and lineage still knows it. Then each folder leaves its place by
a rename, and only then is anything removed. What was renamed lies in the trash, and what was not
belongs to no live artifact: both are leftovers to the next collection.
"""

from __future__ import annotations

import os
import shutil
import uuid
from pathlib import Path
from typing import Any

from ml_metadata.proto import metadata_store_pb2

from pipeline.collection.folders import TRASH, is_inside
from pipeline.collection.plan import Plan

FREED = "freed"
"""Property of an artifact that a collection freed."""


def sweep(store: Any, root: Path, plan: Plan) -> None:
    """Frees; the caller holds the pipeline's root, and made the plan while it did.

    Raises:
        OSError: if a folder cannot be renamed or removed. The next collection goes on.
    """
    numbers = [number for folder in plan.freed for number in folder.artifacts]
    artifacts = store.get_artifacts_by_id(numbers) if numbers else []
    for artifact in artifacts:
        artifact.state = metadata_store_pb2.Artifact.DELETED
        artifact.custom_properties[FREED].int_value = 1
    if artifacts:
        store.put_artifacts(artifacts)
    trash = root / TRASH
    trash.mkdir(exist_ok=True)
    for folder in plan.freed:
        # Again: what was a folder may have become a link since.
        if folder.path != trash and folder.path.exists() and is_inside(root, folder.path):
            os.rename(folder.path, trash / uuid.uuid4().hex)
    shutil.rmtree(trash)
