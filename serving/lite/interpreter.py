"""A TF Lite model in TensorFlow's interpreter: floats in, floats out, whatever it computes with."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from serving.lite.comparison import Arrays

_RESOLVERS = tf.lite.experimental.OpResolverType


class LiteModel:
    """One signature of a TF Lite model.

    Args:
        content: of the file.
        signature: its only one where None.

    Raises:
        ValueError: if the content is no model, or lacks the signature.
    """

    def __init__(self, content: bytes, signature: str | None = None) -> None:
        interpreter = tf.lite.Interpreter(model_content=content)
        # The runner gives inputs and outputs by name and follows the batch that it is given.
        self._runner = interpreter.get_signature_runner(signature)
        self.inputs: dict[str, dict[str, Any]] = self._runner.get_input_details()
        self.outputs: dict[str, dict[str, Any]] = self._runner.get_output_details()

    def run(self, inputs: Arrays) -> dict[str, np.ndarray]:
        """Returns the answers to a batch.

        Args:
            inputs: one array an input, [rows, ...], floats where the SavedModel takes floats.

        Returns:
            The outputs; what the model gives as scaled integers is float32.
        """
        given = {name: _quantized(inputs[name], details) for name, details in self.inputs.items()}
        answers = self._runner(**given)
        return {name: _dequantized(answers[name], self.outputs[name]) for name in sorted(answers)}


def float_tensors(content: bytes) -> list[str]:
    """Returns the names of the tensors that hold floats: none where 8 bits do all."""
    interpreter = tf.lite.Interpreter(
        model_content=content,
        # A delegate adds tensors of its own.
        experimental_op_resolver_type=_RESOLVERS.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    details = interpreter.get_tensor_details()
    return [found["name"] for found in details if np.dtype(found["dtype"]).kind == "f"]


def latencies(
    content: bytes, row: Arrays, threads: int, seconds: float, at_most: int
) -> list[float]:
    """Returns how long single rows take, in seconds each, after some that do not count.

    Args:
        content: of a file with one signature.
        row: its inputs, [1, ...].
        threads: of the interpreter.
        seconds: how long to go on, about.
        at_most: rows to measure.
    """
    inputs = {d["index"]: _quantized(row[name], d) for name, d in LiteModel(content).inputs.items()}
    # Without a runner, which would allocate anew for every call and so be measured too.
    interpreter = tf.lite.Interpreter(model_content=content, num_threads=threads)
    for index, value in inputs.items():
        interpreter.resize_tensor_input(index, value.shape)
    interpreter.allocate_tensors()
    for index, value in inputs.items():
        interpreter.set_tensor(index, value)
    for _ in range(5):
        interpreter.invoke()
    found: list[float] = []
    until = time.perf_counter() + seconds
    while not found or (len(found) < at_most and time.perf_counter() < until):
        began = time.perf_counter()
        interpreter.invoke()
        found.append(time.perf_counter() - began)
    return found


def _quantized(value: np.ndarray, details: Mapping[str, Any]) -> np.ndarray:
    """Returns a value as the input's own type, scaled if that is an integer with a scale."""
    dtype, (scale, zero_point) = details["dtype"], details["quantization"]
    if not scale:
        return value.astype(dtype)
    limits = np.iinfo(dtype)
    return np.clip(np.round(value / scale + zero_point), limits.min, limits.max).astype(dtype)


def _dequantized(value: np.ndarray, details: Mapping[str, Any]) -> np.ndarray:
    scale, zero_point = details["quantization"]
    if not scale:
        return value
    return ((value.astype(np.float32) - zero_point) * scale).astype(np.float32)
