"""Follows a model's layers through a pass: what goes into each, and what comes out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf
import tf_keras as keras


@dataclass(frozen=True)
class LayerCall:
    """One call of a layer.

    Attributes:
        inputs: copies that are this call's alone, so that their gradients are, too.
        is_leaf: whether the layer has no layers inside.
    """

    layer: keras.layers.Layer
    inputs: list[tf.Tensor]
    outputs: list[tf.Tensor]
    is_leaf: bool

    @property
    def variables(self) -> list[tf.Variable]:
        """Those of the layer itself, not of the layers inside."""
        inner = {id(v) for layer in _inner(self.layer) for v in layer.variables}
        return [v for v in self.layer.variables if id(v) not in inner]


class LayerTrace:
    """Keeps the calls of all layers of a model, in the order in which they end.

    The model has to run eagerly, and is of no other use afterwards.

    Attributes:
        calls: since `begin`.
    """

    def __init__(self, model: keras.Model) -> None:
        self.calls: list[LayerCall] = []
        self._tape: tf.GradientTape
        for layer in {id(found): found for found in [model, *_inner(model)]}.values():
            # Past Keras' own __setattr__, which would track what it is given.
            object.__setattr__(layer, "call", self._followed(layer))

    def begin(self, tape: tf.GradientTape) -> None:
        """Starts anew; the tape will know gradients with respect to all inputs and outputs."""
        self.calls = []
        self._tape = tape

    def _followed(self, layer: keras.layers.Layer) -> Callable[..., Any]:
        call = layer.call
        is_leaf = not _inner(layer)

        def followed(*arguments: Any, **options: Any) -> Any:
            inputs: list[tf.Tensor] = []

            def copy(value: Any) -> Any:
                if not _is_float(value):
                    return value
                mask = getattr(value, "_keras_mask", None)
                value = tf.identity(value)
                if mask is not None:
                    value._keras_mask = mask
                self._tape.watch(value)
                inputs.append(value)
                return value

            arguments, options = tf.nest.map_structure(copy, (arguments, options))
            result = call(*arguments, **options)
            outputs = [value for value in tf.nest.flatten(result) if _is_float(value)]
            for value in outputs:
                self._tape.watch(value)
            self.calls.append(LayerCall(layer, inputs, outputs, is_leaf))
            return result

        return followed


def layer_of(model: keras.Model, variable: tf.Variable) -> str:
    """Returns the name of the innermost layer that holds a variable."""
    holders = [
        layer
        for layer in [model, *_inner(model)]
        if any(variable is held for held in layer.variables)
    ]
    if not holders:
        return ""
    # A block around a single layer holds no more than that layer.
    return min(holders, key=lambda layer: (len(layer.variables), len(_inner(layer)))).name


def _inner(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    return [part for part in layer.submodules if isinstance(part, keras.layers.Layer)]


def _is_float(value: Any) -> bool:
    return isinstance(value, tf.Tensor) and value.dtype.is_floating
