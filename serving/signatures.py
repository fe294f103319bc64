"""What a signature takes and gives, and whether arrays fit it.

TensorFlow aborts the process on some shapes that do not fit, so all is checked before it runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


class InvalidRequest(ValueError):
    """A request that does not fit the signature it is for."""


@dataclass(frozen=True)
class TensorSpec:
    """One input or output of a signature.

    Attributes:
        alias: its name in requests and answers.
        tensor: its name in the graph.
        dtype: NumPy's; strings are objects.
        type_name: TensorFlow's name of the type.
        shape: None for any size, and for any rank in place of the whole.
    """

    alias: str
    tensor: str
    dtype: np.dtype
    type_name: str
    shape: tuple[int | None, ...] | None

    @classmethod
    def from_proto(cls, alias: str, info: Any) -> TensorSpec:
        """Reads a TensorInfo.

        Raises:
            InvalidRequest: if it is no dense tensor.
        """
        import tensorflow as tf

        if info.WhichOneof("encoding") != "name":
            raise InvalidRequest(
                f"{alias}: found a sparse or composite tensor; allowed: dense ones"
            )
        dtype = tf.dtypes.as_dtype(info.dtype)
        shape: tuple[int | None, ...] | None = None
        if not info.tensor_shape.unknown_rank:
            shape = tuple(None if dim.size < 0 else dim.size for dim in info.tensor_shape.dim)
        return cls(alias, info.name, np.dtype(dtype.as_numpy_dtype), dtype.name, shape)

    def fits(self, shape: Sequence[int]) -> bool:
        """Returns whether a tensor of `shape` may be fed."""
        if self.shape is None:
            return True
        if len(shape) != len(self.shape):
            return False
        # A loop: a generator alone costs more than the comparisons.
        for found, allowed in zip(shape, self.shape, strict=True):
            if allowed is not None and found != allowed:
                return False
        return True

    def __str__(self) -> str:
        return f"{self.type_name} of shape {'<unknown>' if self.shape is None else self.shape}"


@dataclass(frozen=True)
class Signature:
    """Inputs and outputs in the order of their aliases: a protobuf's map has none of its own."""

    name: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    @classmethod
    def from_proto(cls, name: str, definition: Any) -> Signature:
        """Reads a SignatureDef.

        Raises:
            InvalidRequest: if one of its tensors is not dense.
        """
        return cls(name, _specs(definition.inputs), _specs(definition.outputs))

    def batch_sizes(self, arrays: Sequence[np.ndarray]) -> dict[str, int]:
        """Returns the rows of each input that has a batch dimension, by alias."""
        return {
            spec.alias: len(array)
            for spec, array in zip(self.inputs, arrays, strict=True)
            if array.ndim > 0
        }


def _specs(infos: Mapping[str, Any]) -> tuple[TensorSpec, ...]:
    return tuple(TensorSpec.from_proto(alias, infos[alias]) for alias in sorted(infos))
