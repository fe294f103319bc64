"""The conversion of a SavedModel's signature to each variant, by TensorFlow's own converter."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf

from serving.lite.comparison import Arrays
from serving.lite.config import Variant


def convert(saved_model: Path, signature: str, variant: Variant, representative: Arrays) -> bytes:
    """Returns the content of a TF Lite file.

    float32 computes as the SavedModel does. dynamic_range keeps the weights in 8 bits and measures
    the ranges of the rest as it runs; float16 keeps them in 16. int8 has its inputs and outputs in
    8 bits too, all in ranges measured on `representative`. int8_float is the same inside, but takes
    and gives floats. An output of integers, such as the number of a class, is never scaled.

    Args:
        representative: inputs of the signature, [rows, ...].

    Raises:
        Exception: what the converter raises; it can also end the process.
    """
    converter = tf.lite.TFLiteConverter.from_saved_model(
        str(saved_model), signature_keys=[signature], tags={"serve"}
    )
    if variant != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if variant == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if variant in ("int8", "int8_float"):
        converter.representative_dataset = lambda: _rows(representative)
    if variant == "int8":
        # An operation without a kernel in 8 bits is left in floats none the less.
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.int8
        converter.inference_output_type = tf.int8
    return converter.convert()


def _rows(inputs: Arrays) -> Iterator[dict[str, np.ndarray]]:
    count = min(len(value) for value in inputs.values())
    for row in range(count):
        yield {name: value[row : row + 1] for name, value in inputs.items()}
