"""Artifacts whose folders are gone: someone removed them, and the books do not know.

TFX takes such a one for a baseline or a reference, and fails in a node that did nothing wrong. Said
to be deleted, it is neither looked up nor taken from the cache, and the node that made it runs
again.
"""

from __future__ import annotations

import json
import os
from typing import Any

from ml_metadata.proto import metadata_store_pb2

from components.artifact_types import GATE_VERDICT

_Artifact = metadata_store_pb2.Artifact

MISSING = "missing"
"""Property of an artifact that was found to be gone; if its folder comes back, so does it."""

_NEVER_EMPTY = {
    GATE_VERDICT,
    "Model",
    "ModelBlessing",
    "ModelEvaluation",
    "ModelRun",
    "Schema",
    "TransformGraph",
}
_SPLITS = "split_names"


def forget_missing_outputs(store: Any, pipeline: str) -> list[str]:
    """Marks as deleted what a pipeline put out and is no longer there; returns a line for each.

    What was missing and is there again is live again. The caller holds the pipeline's root.

    Args:
        store: an open ML Metadata store.
    """
    context = store.get_context_by_type_and_name("pipeline", pipeline)
    if context is None:
        return []
    lines, changed = [], []
    for artifact in store.get_artifacts_by_context(context.id):
        fault = fault_of(artifact)
        if artifact.state == _Artifact.LIVE and fault is not None:
            artifact.state = _Artifact.DELETED
            artifact.custom_properties[MISSING].int_value = 1
            changed.append(artifact)
            lines.append(f"{artifact.uri}: {fault}; what made it runs again")
        elif artifact.state != _Artifact.LIVE and is_whole(artifact):
            artifact.state = _Artifact.LIVE
            del artifact.custom_properties[MISSING]
            changed.append(artifact)
    if changed:
        store.put_artifacts(changed)
    return lines


def is_whole(artifact: Any) -> bool:
    """Returns whether an artifact is there, and is live or was missing before."""
    is_known = artifact.state == _Artifact.LIVE or MISSING in artifact.custom_properties
    return is_known and fault_of(artifact) is None


def fault_of(artifact: Any) -> str | None:
    """Returns what is missing of an artifact's folder; None if nothing is, or it is elsewhere."""
    if not artifact.uri or "://" in artifact.uri:
        return None
    if not os.path.exists(artifact.uri):
        return "it is gone"
    if artifact.type in _NEVER_EMPTY and os.path.isdir(artifact.uri):
        return None if os.listdir(artifact.uri) else "it is empty"
    splits = artifact.properties.get(_SPLITS)
    names = json.loads(splits.string_value) if splits and splits.string_value else []
    gone = [name for name in names if not os.path.isdir(os.path.join(artifact.uri, _folder(name)))]
    return f"its {_folder(gone[0])} is gone" if gone else None


def _folder(split: str) -> str:
    return f"Split-{split}"
