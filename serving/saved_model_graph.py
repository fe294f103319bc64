"""Which graph of a SavedModel a server loads, and which signatures of it are for requests.

Free of TensorFlow: works on its messages and on any with the same fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

INIT_OP_SIGNATURE = "__saved_model_init_op"
"""What TensorFlow calls the signature that runs once, when a model is loaded."""

SERVE_TAG = "serve"


def for_requests(definitions: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the signatures without the one that initializes the model, by name in order."""
    return {name: definitions[name] for name in sorted(definitions) if name != INIT_OP_SIGNATURE}


def served_signatures(model: Any) -> dict[str, Any]:
    """Returns the SignatureDefs of the graph of a SavedModel message that TF Serving loads.

    Raises:
        ValueError: if no graph in it is for serving.
    """
    for graph in model.meta_graphs:
        if set(graph.meta_info_def.tags) == {SERVE_TAG}:
            return for_requests(graph.signature_def)
    tags = [sorted(graph.meta_info_def.tags) for graph in model.meta_graphs]
    allowed = f"a SavedModel with one tagged {SERVE_TAG}"
    raise ValueError(f"found graphs tagged {tags}; allowed: {allowed}")
