"""What `saved_model.pb` says of a model, without loading it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tensorflow.core.protobuf import saved_model_pb2

from serving.saved_model_graph import served_signatures


def read_signatures(folder: Path) -> dict[str, Any]:
    """Returns the SignatureDefs of the graph that TF Serving loads, by name in order.

    Raises:
        OSError: if there is no `saved_model.pb`.
        google.protobuf.message.DecodeError: if it is no SavedModel.
        ValueError: if no graph in it is for serving.
    """
    model = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    try:
        return served_signatures(model)
    except ValueError as error:
        raise ValueError(f"{folder}: {error}") from error
