"""What `saved_model.pb` says of a model, without loading it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tensorflow.core.protobuf import saved_model_pb2

from serving.signatures import INIT_OP_SIGNATURE

_TAG = "serve"


def read_signatures(folder: Path) -> dict[str, Any]:
    """Returns the SignatureDefs of the graph that TF Serving loads, by name in order.

    Raises:
        OSError: if there is no `saved_model.pb`.
        google.protobuf.message.DecodeError: if it is no SavedModel.
        ValueError: if no graph in it is for serving.
    """
    model = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    for graph in model.meta_graphs:
        if set(graph.meta_info_def.tags) == {_TAG}:
            found = sorted(graph.signature_def.items())
            return {name: value for name, value in found if name != INIT_OP_SIGNATURE}
    tags = [sorted(graph.meta_info_def.tags) for graph in model.meta_graphs]
    raise ValueError(f"{folder}: found graphs tagged {tags}; expected one tagged [{_TAG!r}]")
