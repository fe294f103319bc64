"""Tensors in TF Serving's REST JSON, column format: bytes as `{"b64": ...}`, NaN and Infinity as
tokens, integers whole.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from serving.array_values import STRING, as_array
from serving.client.metadata import Signature, TensorSpec
from serving.tensor_protos import BFLOAT16


def predict_body(signature_name: str, arrays: Mapping[str, np.ndarray]) -> bytes:
    """Returns the body of a predict request.

    Args:
        arrays: of the signature's types.
    """
    inputs = {name: tensor_to_json(array) for name, array in arrays.items()}
    return to_bytes({"signature_name": signature_name, "inputs": inputs})


def to_bytes(value: Any) -> bytes:
    """Returns JSON, with the tokens NaN, Infinity and -Infinity, which TF Serving reads."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def tensor_to_json(array: np.ndarray) -> Any:
    """Returns an array as nested lists."""
    if array.dtype == BFLOAT16:
        array = array.astype(np.float32)
    return _encoded(array.tolist()) if array.dtype == STRING else array.tolist()


def outputs_of(answer: Any, signature: Signature) -> dict[str, np.ndarray]:
    """Reads the `outputs` of a predict answer; a single output comes without its name.

    Raises:
        ValueError: if they are not those of the signature.
    """
    if not isinstance(answer, dict) or "outputs" not in answer:
        raise ValueError("found an answer without outputs; allowed: TF Serving's column format")
    outputs = answer["outputs"]
    if len(signature.outputs) == 1:
        outputs = dict.fromkeys(signature.outputs, outputs)
    if not isinstance(outputs, dict) or set(outputs) != set(signature.outputs):
        found = sorted(outputs) if isinstance(outputs, dict) else "one output"
        raise ValueError(f"found {found}; allowed: the outputs {list(signature.outputs)}")
    return {name: _array(name, outputs[name], spec) for name, spec in signature.outputs.items()}


def _array(name: str, value: Any, spec: TensorSpec) -> np.ndarray:
    try:
        if spec.dtype == STRING:
            array = np.array(value, dtype=object)
            texts = np.empty(array.shape, object)
            texts.reshape(-1)[:] = [_decoded(item) for item in array.reshape(-1).tolist()]
            array = texts
        elif spec.dtype is None:  # of no type that is known here
            array = np.array(value)
        else:
            array = as_array(value, spec.dtype)
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"{name}: found {error}; allowed: {spec}") from error
    if array.size == 0 and spec.shape is not None and array.ndim < len(spec.shape):
        # `[]` is all that JSON says of an empty tensor.
        array = array.reshape([0, *(size or 0 for size in spec.shape[1:])])
    return array


def _encoded(value: Any) -> Any:
    if isinstance(value, list):
        return [_encoded(item) for item in value]
    return {"b64": base64.b64encode(value).decode()}


def _decoded(item: Any) -> bytes:
    if isinstance(item, str):
        return item.encode()
    if isinstance(item, dict) and list(item) == ["b64"]:
        return base64.b64decode(item["b64"], validate=True)
    raise TypeError(f"{type(item).__name__} in place of text")
