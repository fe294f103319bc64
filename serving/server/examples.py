"""Classify, Regress and MultiInference: signatures that take serialized tf.Examples.

The checks and their words are those of TF Serving's `classifier.cc`, `regressor.cc` and
`multi_inference.cc`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from grpc import StatusCode
from tensorflow.core.example import example_pb2, feature_pb2

from serving.server import rest_json
from serving.server.errors import ServingError, invalid_argument
from serving.server.servable import Servable

CLASSIFY = "tensorflow/serving/classify"
REGRESS = "tensorflow/serving/regress"

_METHODS = {CLASSIFY: "classification", REGRESS: "regression"}
_INPUT = "inputs"
_LARGEST_FLOAT = float(np.finfo(np.float32).max)


class Classes(NamedTuple):
    """What a classify signature answered; one of the two may be missing.

    Attributes:
        labels: [batch, classes] of bytes.
        scores: [batch, classes] of float32.
    """

    labels: np.ndarray | None
    scores: np.ndarray | None


def serialized_examples(message: Any) -> np.ndarray:
    """Returns the examples of an `Input` message, serialized: [batch] of bytes.

    A context's features are in every example; an example's own feature of that name wins. That is
    what a protobuf parser makes of the two, one after the other.

    Raises:
        ServingError: INVALID_ARGUMENT if there are none.
    """
    kind = message.WhichOneof("kind")
    examples = getattr(message, kind).examples if kind else ()
    if not examples:
        raise invalid_argument("Input is empty.")
    context = b""
    if kind == "example_list_with_context":
        context = message.example_list_with_context.context.SerializeToString()
    return _objects([context + example.SerializeToString() for example in examples])


def examples_from_json(document: Mapping[str, Any]) -> np.ndarray:
    """Returns the `examples` of a REST request, with its `context`, serialized: [batch] of bytes.

    Raises:
        ServingError: INVALID_ARGUMENT if there are none, or one is no object of features.
    """
    context = b""
    if "context" in document:
        context = _example(document["context"])
    if "examples" not in document:
        raise invalid_argument(
            f"JSON Value: {rest_json.shown(document)} When method is classify, key 'examples' is "
            "expected and was not found"
        )
    examples = document["examples"]
    if type(examples) is not list:
        raise invalid_argument(
            f"JSON Value: {rest_json.shown(document)} Expecting 'examples' value to be an "
            "list/array"
        )
    if not examples:
        raise invalid_argument(
            f"JSON Value: {rest_json.shown(document)} 'examples' value is an empty array"
        )
    return _objects([context + _example(example) for example in examples])


async def classify(servable: Servable, signature: str, examples: np.ndarray) -> Classes:
    """Runs a classify signature on serialized examples.

    Raises:
        ServingError: INVALID_ARGUMENT if there is no such signature, it is of another method, or
            its answer is not one of classes; FAILED_PRECONDITION if its names are not.
    """
    outputs = _check_signature(servable, signature, CLASSIFY)
    found = await servable.run(signature, {_INPUT: examples}, outputs)
    return _as_classes(found, len(examples))


async def regress(servable: Servable, signature: str, examples: np.ndarray) -> np.ndarray:
    """Runs a regress signature on serialized examples; returns [batch] of float32.

    Raises:
        ServingError: as `classify`.
    """
    outputs = _check_signature(servable, signature, REGRESS)
    found = await servable.run(signature, {_INPUT: examples}, outputs)
    return _as_regressions(found, len(examples))


async def infer(
    servable: Servable, tasks: Sequence[tuple[str, str]], examples: np.ndarray
) -> list[Classes | np.ndarray]:
    """Runs several signatures on the same examples.

    Args:
        tasks: (signature, method) of each.

    Raises:
        ServingError: as `classify`; INVALID_ARGUMENT if a signature is there twice or they do not
            read the same tensor; UNIMPLEMENTED for a method that is neither of the two.
    """
    seen: set[str] = set()
    tensors: set[str] = set()
    for signature, method in tasks:
        if signature in seen:
            raise invalid_argument(f"Duplicate evaluation of signature: {signature}")
        seen.add(signature)
        if signature not in servable.signatures:
            raise invalid_argument(f"Requested signature not found in model graph: {signature}")
        if method not in _METHODS:
            raise ServingError(
                StatusCode.UNIMPLEMENTED, f"Unsupported signature method_name: {method}"
            )
        _check_signature(servable, signature, method)
        tensors.add(servable.signatures[signature].inputs[_INPUT].name)
        if len(tensors) > 1:
            raise invalid_argument("Input tensor must be the same for all Signatures.")
    runs: list[Coroutine[Any, Any, Classes | np.ndarray]] = [
        classify(servable, signature, examples)
        if method == CLASSIFY
        else regress(servable, signature, examples)
        for signature, method in tasks
    ]
    # All of them end before the first failure is told: the servable is lent for as long.
    results = await asyncio.gather(*runs, return_exceptions=True)
    found = []
    for result in results:
        if isinstance(result, BaseException):
            raise result
        found.append(result)
    return found


def _check_signature(servable: Servable, name: str, method: str) -> list[str]:
    """Returns the outputs to fetch of a signature of that method."""
    signature = servable.signatures.get(name)
    if signature is None:
        raise invalid_argument(f"No signature was found with the name: {name}")
    kind = _METHODS[method]
    if signature.method_name != method:
        raise invalid_argument(
            f"Expected {kind} signature method_name to be {method}. Was: {signature.method_name}"
        )
    if len(signature.inputs) != 1:
        raise invalid_argument("Expected one input Tensor.")
    if _INPUT not in signature.inputs:
        raise ServingError(
            StatusCode.FAILED_PRECONDITION,
            f"No {kind} inputs found in SignatureDef: {', '.join(signature.inputs)}",
        )
    named = ("classes", "scores") if method == CLASSIFY else ("outputs",)
    if len(signature.outputs) > len(named):
        raise invalid_argument(
            f"Expected {' or '.join(['one', 'two'][: len(named)])} output Tensor"
            f"{'s' * (len(named) - 1)}, found {len(signature.outputs)}"
        )
    outputs = [output for output in named if output in signature.outputs]
    if not outputs:
        raise ServingError(
            StatusCode.FAILED_PRECONDITION,
            f"Expected {kind} signature outputs to contain at least one of "
            f"{', '.join(named)}. Found: {', '.join(signature.outputs)}",
        )
    return outputs


def _as_classes(outputs: Mapping[str, np.ndarray], batch: int) -> Classes:
    for name, array in outputs.items():
        if array.ndim != 2:
            raise invalid_argument(
                f"Expected Tensor shape: [batch_size num_classes] but got {list(array.shape)}"
            )
        kinds, expected = ("OSU", "DT_STRING") if name == "classes" else ("f", "DT_FLOAT")
        if array.dtype.kind not in kinds or (kinds == "f" and array.dtype != np.float32):
            raise invalid_argument(f"Expected {name} Tensor of {expected}. Got: {array.dtype.name}")
        if len(array) != batch:
            raise invalid_argument(
                f"Expected {name} output batch size of {batch}. Got: {len(array)}"
            )
    found = Classes(outputs.get("classes"), outputs.get("scores"))
    if (
        found.labels is not None
        and found.scores is not None
        and found.labels.shape != found.scores.shape
    ):
        raise invalid_argument(
            "Tensors class and score should match in dim_size(1). Got "
            f"{found.labels.shape[1]} vs. {found.scores.shape[1]}"
        )
    return found


def _as_regressions(outputs: Mapping[str, np.ndarray], batch: int) -> np.ndarray:
    array = outputs["outputs"]
    if array.ndim != 1 and array.shape[1:] != (1,):
        raise invalid_argument(
            "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got "
            f"{list(array.shape)}"
        )
    if len(array) != batch:
        raise invalid_argument(
            f"Input batch size did not match output batch size: {batch} vs. {len(array)}"
        )
    if array.dtype != np.float32:
        raise invalid_argument(f"Expected output Tensor of DT_FLOAT.  Got: {array.dtype.name}")
    return array.reshape(-1)


def _example(value: Any) -> bytes:
    """Returns a JSON object of features as a serialized tf.Example."""
    if type(value) is not dict:
        raise invalid_argument(
            f"Example must be JSON object but got JSON {rest_json.kind_of(value)}"
        )
    example = example_pb2.Example()
    features = example.features.feature
    for name, content in value.items():
        feature = features[name]
        for item in content if type(content) is list else [content]:
            _add_value(item, name, feature)
    return example.SerializeToString()


def _add_value(value: Any, name: str, feature: feature_pb2.Feature) -> None:
    kind = "int64_list"
    if type(value) is str or type(value) is dict:
        kind = "bytes_list"
        value = rest_json.text_or_base64(value)
    elif type(value) is float:
        kind = "float_list"
        if np.isfinite(value) and abs(value) > _LARGEST_FLOAT:
            raise invalid_argument(
                f"Cannot convert JSON value: {value} to float without loss of precision."
            )
    elif type(value) is not bool and type(value) is not int:
        raise invalid_argument(
            f"Feature: {name} has element with unexpected JSON type: {rest_json.kind_of(value)}"
        )
    elif not -(2**63) <= value < 2**63:
        raise invalid_argument(f"Feature: {name} has uint64 element. Only int64 is supported.")
    found = feature.WhichOneof("kind")
    if found not in (None, kind):
        expected = found.removesuffix("_list")
        raise invalid_argument(
            f"Unexpected element type in feature: {name} expecting type: {expected}"
        )
    getattr(feature, kind).value.append(value)


def _objects(values: list[bytes]) -> np.ndarray:
    array = np.empty(len(values), object)
    array[:] = values
    return array
