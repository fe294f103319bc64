"""What a server, or a SavedModel's file, says about a model: signatures, versions, states."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from google.protobuf.message import DecodeError

from serving.array_values import STRING
from serving.client.api import MESSAGES
from serving.missing_values import NULLABLE
from serving.saved_model_graph import for_requests, served_signatures
from serving.tensor_protos import DTYPE_NAMES, DTYPES, dtype_name

DEFAULT_SIGNATURE = "serving_default"
CLASSIFY_METHOD = "tensorflow/serving/classify"
REGRESS_METHOD = "tensorflow/serving/regress"


@dataclass(frozen=True)
class Target:
    """Which model a request is for: its newest version, or the one named.

    Raises:
        ValueError: if both a version and a label are given.
    """

    model: str
    version: int | None = None
    label: str | None = None

    def __post_init__(self) -> None:
        if self.version is not None and self.label is not None:
            raise ValueError(
                f"model {self.model}: found version {self.version} and label {self.label!r}; "
                "allowed: one of them"
            )

    @property
    def rest_path(self) -> str:
        """Where the REST interface has it."""
        path = f"/v1/models/{quote(self.model, safe='')}"
        if self.version is not None:
            return f"{path}/versions/{self.version}"
        return f"{path}/labels/{quote(self.label, safe='')}" if self.label else path

    def __str__(self) -> str:
        if self.version is not None:
            return f"model {self.model}, version {self.version}"
        return f"model {self.model}" + (f", label {self.label}" if self.label else "")


@dataclass(frozen=True)
class TensorSpec:
    """An input or output of a signature.

    Attributes:
        dtype: NumPy's; strings are objects. None if it is of no type that a client can hold.
        shape: None for any size, and for any rank in place of the whole.
        nullable: whether rows may lack it; NaN or the empty text is sent in its place.
    """

    dtype: np.dtype | None
    shape: tuple[int | None, ...] | None
    nullable: bool = False

    def __str__(self) -> str:
        name = "a type that no array has" if self.dtype is None else dtype_name(self.dtype)
        if self.shape is None:
            return f"{name} of any shape"
        sizes = ", ".join("?" if size is None else str(size) for size in self.shape)
        return f"{name} of shape [{sizes}]" + (", or nothing" if self.nullable else "")


@dataclass(frozen=True)
class Signature:
    """One way to ask a model.

    Attributes:
        inputs, outputs: by the names that requests and answers have, sorted.
        method: `tensorflow/serving/predict`, `.../classify` or `.../regress`.
    """

    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]
    method: str

    @property
    def takes_examples(self) -> bool:
        """Whether its only input is a batch of serialized tf.Examples, by TF's convention."""
        if len(self.inputs) != 1:
            return False
        ((name, spec),) = self.inputs.items()
        is_named_so = name == "examples" or self.method in (CLASSIFY_METHOD, REGRESS_METHOD)
        return is_named_so and spec.dtype == STRING


@dataclass(frozen=True)
class Metadata:
    """A version's signatures.

    Attributes:
        version: the one that answered.
    """

    model: str
    version: int
    signatures: Mapping[str, Signature]


@dataclass(frozen=True)
class VersionStatus:
    """Where a version is on its way through the server.

    Attributes:
        state: START, LOADING, AVAILABLE, UNLOADING or END.
        error_code: canonical, 0 while nothing failed.
    """

    version: int
    state: str
    error_code: int
    error_message: str


def signatures_of_protos(definitions: Mapping[str, Any]) -> dict[str, Signature]:
    """Reads SignatureDefs by name; the one that initializes the model is left out."""
    return {
        name: Signature(
            _specs(definition.inputs, _spec_of_proto),
            _specs(definition.outputs, _spec_of_proto),
            definition.method_name,
        )
        for name, definition in for_requests(definitions).items()
    }


def signatures_of_json(definitions: Mapping[str, Any]) -> dict[str, Signature]:
    """Reads the `signature_def` of a REST metadata answer, as protobuf's JSON has it."""
    return {
        name: Signature(
            _specs(definition.get("inputs", {}), _spec_of_json),
            _specs(definition.get("outputs", {}), _spec_of_json),
            definition.get("method_name", ""),
        )
        for name, definition in for_requests(definitions).items()
    }


def read_signatures(saved_model: Path) -> dict[str, Signature]:
    """Reads the signatures of a SavedModel's folder, those that TF Serving would serve.

    Raises:
        ValueError: if the folder holds no such model.
    """
    try:
        content = (saved_model / "saved_model.pb").read_bytes()
        model = MESSAGES["SavedModel"].FromString(content)
    except (OSError, DecodeError) as error:
        raise ValueError(f"{saved_model}: found {error}; allowed: a SavedModel") from error
    try:
        return signatures_of_protos(served_signatures(model))
    except ValueError as error:
        raise ValueError(f"{saved_model}: {error}") from error


def _specs(infos: Mapping[str, Any], read: Callable[[Any], TensorSpec]) -> dict[str, TensorSpec]:
    return {alias: read(infos[alias]) for alias in sorted(infos)}


def _spec_of_proto(info: Any) -> TensorSpec:
    shape = info.tensor_shape
    sizes = None if shape.unknown_rank else tuple(_size(dim.size) for dim in shape.dim)
    names = [dim.name for dim in shape.dim[:1]]
    return TensorSpec(DTYPES.get(info.dtype), sizes, names == [NULLABLE])


def _spec_of_json(info: Mapping[str, Any]) -> TensorSpec:
    shape = info.get("tensor_shape", {})
    dims = shape.get("dim", [])
    sizes = tuple(_size(int(dim.get("size", 0))) for dim in dims)
    return TensorSpec(
        DTYPE_NAMES.get(info.get("dtype", "")),
        None if shape.get("unknown_rank") else sizes,
        [dim.get("name") for dim in dims[:1]] == [NULLABLE],
    )


def _size(size: int) -> int | None:
    return None if size < 0 else size
