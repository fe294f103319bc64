"""The scaling between a raw picture and the transformed one, found by comparing the two.

TF Lite's metadata tells an application how to make a model's input of raw values:
input = (raw - mean) / std. Transform's graph does not say, but it shows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from serving.lite.comparison import Arrays
from serving.missing_values import NULLABLE

_EXACT = 1e-5
"""Largest deviation, relative to the values' range, from what is called a scaling."""


@dataclass(frozen=True)
class Normalization:
    """input = (raw - mean) / std; one value each, or one for each place on the last axis."""

    mean: list[float]
    std: list[float]


def find_normalization(raw: np.ndarray, transformed: np.ndarray) -> Normalization | None:
    """Returns the scaling that makes `transformed` [rows, ...] of `raw`; None if none does."""
    if raw.size != transformed.size:
        return None
    channels = transformed.shape[-1] if transformed.ndim > 1 else 1
    pair = [values.astype(np.float64).reshape(-1, channels).T for values in (raw, transformed)]
    return _line(*(values.reshape(1, -1) for values in pair)) or _line(*pair)


def find_normalizations(
    raw_inputs: Mapping[str, Any], examples: Sequence[bytes], inputs: Arrays
) -> dict[str, Normalization]:
    """Returns the scaling of each picture, [rows, height, width, channels], by its name.

    Those are left out that are no scaling of the raw feature of the same name.

    Args:
        raw_inputs: TensorInfo by name, of a signature that takes raw features.
        examples: serialized raw ones.
        inputs: the transformed features of the examples.
    """
    found = {}
    for name in sorted(set(raw_inputs) & set(inputs)):
        is_picture = inputs[name].ndim == 4
        raw = _raw_values(raw_inputs[name], examples, name) if is_picture else None
        scaling = None if raw is None else find_normalization(raw, inputs[name])
        if scaling is not None:
            found[name] = scaling
    return found


def _raw_values(feature: Any, examples: Sequence[bytes], name: str) -> np.ndarray | None:
    """Returns a raw feature of serialized examples as numbers, [rows, ...].

    Encoded pictures are decoded. None for other strings, for pictures of several sizes, and where
    rows may lack it.
    """
    if [dimension.name for dimension in feature.tensor_shape.dim[:1]] == [NULLABLE]:
        return None
    shape = [dimension.size for dimension in feature.tensor_shape.dim][1:]
    dtype = tf.dtypes.as_dtype(feature.dtype)
    spec = {name: tf.io.FixedLenFeature(shape, dtype)}
    values = tf.io.parse_example(tf.constant(examples), spec)[name].numpy()
    if dtype != tf.string:
        return values
    try:
        pictures = [
            tf.io.decode_image(content, expand_animations=False).numpy()
            for content in values.reshape(-1)
        ]
    except tf.errors.InvalidArgumentError:
        return None
    same = len(pictures) == len(values) and len({picture.shape for picture in pictures}) == 1
    return np.stack(pictures) if same else None


def _line(raw: np.ndarray, transformed: np.ndarray) -> Normalization | None:
    """Fits transformed = slope * raw + offset for each row of [channels, values]."""
    center, mean = raw.mean(axis=1, keepdims=True), transformed.mean(axis=1, keepdims=True)
    spread = np.square(raw - center).sum(axis=1, keepdims=True)
    if not np.all(spread > 0):
        return None
    slope = ((raw - center) * (transformed - mean)).sum(axis=1, keepdims=True) / spread
    deviation = np.abs(slope * (raw - center) + mean - transformed).max()
    if not np.all(slope) or not deviation <= _EXACT * np.ptp(transformed):
        return None
    raw_of_zero = center - mean / slope
    raw_of_zero[np.abs(raw_of_zero) < _EXACT * np.ptp(raw)] = 0.0
    return Normalization(_short(raw_of_zero), _short(1 / slope))


def _short(values: np.ndarray) -> list[float]:
    """Returns values at the precision that float32 data have."""
    return [float(f"{value:.6g}") for value in values.ravel()]
