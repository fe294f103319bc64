"""Raw features as clients of a served model give them: one dense tensor each.

What may be missing in a row has a value that says so: NaN in numbers, the empty text in texts. In
the graph it is dropped, and what Transform gets is what it would parse from a tf.Example.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_transform.tf_metadata import schema_utils

FeatureSpec: TypeAlias = tf.io.FixedLenFeature | tf.io.VarLenFeature

# From here on a float64 is not every whole number.
_INEXACT = 2.0**53


@dataclass(frozen=True)
class RawFeature:
    """One raw feature, as tf.Examples hold it and as a tensor of its own.

    Attributes:
        parsing: how it is read from tf.Examples; one of variable length may be missing in any row.
        is_single: of one of variable length: whether a row has one value at most.
    """

    name: str
    parsing: FeatureSpec
    is_single: bool

    @property
    def is_nullable(self) -> bool:
        """Whether a row may lack it."""
        return isinstance(self.parsing, tf.io.VarLenFeature)

    @property
    def shape(self) -> list[int | None]:
        """Shape of its tensor without the batch: a single value is a scalar to a client."""
        if self.is_nullable:
            return [] if self.is_single else [None]
        return [] if list(self.parsing.shape) == [1] else list(self.parsing.shape)

    @property
    def dtype(self) -> tf.DType:
        """Type of its tensor: no integer is NaN, so those that may be missing are float64."""
        is_widened = self.is_nullable and self.parsing.dtype.is_integer
        return tf.float64 if is_widened else self.parsing.dtype

    def to_raw(self, tensor: tf.Tensor) -> tf.Tensor | tf.SparseTensor:
        """Turns a client's tensor, [b] or [b, n], into what parsing a tf.Example gives.

        Raises:
            tf.errors.InvalidArgumentError: when it runs, on a number that is not whole, or too
                large to be exact, for a feature of integers.
        """
        if not self.is_nullable:
            return tf.reshape(tensor, [-1, *self.parsing.shape])
        is_there = tensor != "" if tensor.dtype == tf.string else ~tf.math.is_nan(tensor)
        if self.is_single:
            rows = tf.where(is_there)
            values = tf.gather(tensor, rows[:, 0])
            indices = tf.pad(rows, [[0, 0], [0, 1]])
            width = tf.minimum(tf.size(values, tf.int64), 1)
            size = tf.stack([tf.size(tensor, tf.int64), width])
        else:
            sparse = tf.ragged.boolean_mask(tensor, is_there).to_sparse()
            indices, values, size = sparse.indices, sparse.values, sparse.dense_shape
        return tf.SparseTensor(indices, self._narrowed(values), size)

    def from_parsed(self, parsed: tf.Tensor | tf.SparseTensor) -> tf.Tensor:
        """Turns what parsing tf.Examples gives into a client's tensor.

        An integer that float64 does not hold exactly is taken for missing.
        """
        if not isinstance(parsed, tf.SparseTensor):
            return tf.reshape(parsed, [-1, *self.shape])
        values = tf.cast(parsed.values, self.dtype)
        if self.parsing.dtype.is_integer:
            values = tf.where(tf.abs(values) < _INEXACT, values, math.nan)
        size = tf.maximum(parsed.dense_shape, [0, 1])
        missing: Any = "" if self.dtype == tf.string else math.nan
        dense = tf.sparse.to_dense(tf.SparseTensor(parsed.indices, values, size), missing)
        return dense[:, 0] if self.is_single else dense

    def _narrowed(self, values: tf.Tensor) -> tf.Tensor:
        """Returns the values as tf.Examples have them."""
        if not self.parsing.dtype.is_integer:
            return values
        whole = tf.cast(values, tf.int64)
        is_exact = (tf.cast(whole, values.dtype) == values) & (tf.abs(values) < _INEXACT)
        allowed = f"{self.name}: allowed: whole numbers between -2^53 and 2^53, NaN where missing"
        with tf.control_dependencies([tf.debugging.Assert(tf.reduce_all(is_exact), [allowed])]):
            return tf.identity(whole)


def spec_of_schema(schema: schema_pb2.Schema) -> dict[str, FeatureSpec]:
    """Returns the feature spec of the raw examples that a schema describes.

    Raises:
        ValueError: if a model of them cannot be served: a feature is neither of fixed nor of
            variable length, or has no name.
    """
    spec = schema_utils.schema_as_feature_spec(schema).feature_spec
    for name, feature in spec.items():
        if not isinstance(feature, (tf.io.FixedLenFeature, tf.io.VarLenFeature)):
            raise ValueError(
                f"raw feature {name!r}: found {type(feature).__name__} in the schema; "
                "allowed: a list of values in a row, of fixed or variable length"
            )
    if "" in spec:
        raise ValueError("raw feature '': found an empty name; allowed: any other text")
    return dict(spec)


def single_valued(schema: schema_pb2.Schema) -> frozenset[str]:
    """Returns the features of which no row holds more than one value."""
    return frozenset(feature.name for feature in schema.feature if feature.value_count.max == 1)
