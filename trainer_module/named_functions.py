"""Signatures whose inputs have any names, `größe (cm)` among them, and that rows may lack.

TensorFlow takes for arguments of a signature only what is a name in Python. Where others are wanted
they are written into the SavedModel's SignatureDefs, which is what a server goes by.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

Tensors = dict[str, tf.Tensor]

NULLABLE = "nullable"
"""Name of the batch's dimension, in the SignatureDef, of an input that a row may lack."""

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_]*", re.ASCII)


class NamedFunction:
    """A concrete function of named tensors, called by their names.

    Attributes:
        function: the tf.function; its arguments are `arguments`.
        arguments: TensorFlow's name of each input; its own, where that will do for all.
        nullable: inputs that a row may lack.
        structured_outputs: of the function; None where `body` returned that.

    Args:
        body: from tensors by name to tensors by name.
        specs: of the inputs, by name.
    """

    def __init__(
        self,
        body: Callable[[Tensors], Any],
        specs: Mapping[str, tf.TensorSpec],
        nullable: Collection[str] = (),
    ) -> None:
        self.nullable = frozenset(nullable)
        self.arguments = _arguments(specs)
        names = {argument: name for name, argument in self.arguments.items()}

        # AutoGraph would convert Keras itself, which takes the better part of a minute.
        @tf.autograph.experimental.do_not_convert
        def function(**tensors: tf.Tensor) -> Any:
            return body({names[argument]: tensor for argument, tensor in tensors.items()})

        self.function = tf.function(function).get_concrete_function(
            **{
                self.arguments[name]: tf.TensorSpec(spec.shape, spec.dtype, self.arguments[name])
                for name, spec in specs.items()
            }
        )
        self.structured_outputs = self.function.structured_outputs

    def __call__(self, /, **tensors: tf.Tensor) -> Tensors:
        return self.function(**{self.arguments[name]: value for name, value in tensors.items()})


def name_inputs(path: str, functions: Mapping[str, NamedFunction]) -> None:
    """Gives the signatures of a saved model the names of their inputs.

    Args:
        path: of `saved_model.pb`.
        functions: that it was saved with, by signature.
    """
    model = saved_model_pb2.SavedModel()
    with tf.io.gfile.GFile(path, "rb") as file:
        model.ParseFromString(file.read())
    for graph in model.meta_graphs:
        for signature, function in functions.items():
            unnamed = graph.signature_def[signature]
            named = meta_graph_pb2.SignatureDef()
            named.CopyFrom(unnamed)
            named.inputs.clear()
            for name, argument in function.arguments.items():
                named.inputs[name].CopyFrom(unnamed.inputs[argument])
                if name in function.nullable:
                    named.inputs[name].tensor_shape.dim[0].name = NULLABLE
            unnamed.CopyFrom(named)
    with tf.io.gfile.GFile(path, "wb") as file:
        file.write(model.SerializeToString(deterministic=True))


def _arguments(names: Collection[str]) -> dict[str, str]:
    """Returns a name that TensorFlow takes for each input, none of them twice."""
    are_plain = all(_PLAIN.fullmatch(name) for name in names) and "self" not in names
    if are_plain and len({name.lower() for name in names}) == len(names):
        return {name: name for name in names}
    return {name: f"input_{index}" for index, name in enumerate(sorted(names))}
