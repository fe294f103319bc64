"""Begins a training with the weights of an exported model."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np
import tensorflow as tf
import tf_keras as keras
from tensorflow.core.protobuf.trackable_object_graph_pb2 import TrackableObjectGraph

from trainer_module.progress import emit

_OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
"""Key that every checkpoint of objects has: what is in it, and under which keys."""

_MODEL = "model/"
"""Of the exported module the model, rather than Transform's graph."""

Weights = Mapping[str, np.ndarray]


def read_weights(saved_model: str) -> dict[str, np.ndarray]:
    """Returns the variables of a model that `export.ServingModel` saved, by name.

    They are read from the files: loaded, the model is a tree of objects that are no Keras layers,
    since the export leaves out what Keras would need to make them such.
    """
    reader = tf.train.load_checkpoint(os.path.join(saved_model, "variables", "variables"))
    graph = TrackableObjectGraph.FromString(reader.get_tensor(_OBJECT_GRAPH))
    return {
        f"{value.full_name}:0": reader.get_tensor(value.checkpoint_key)
        for node in graph.nodes
        for value in node.attributes
        if value.checkpoint_key.startswith(_MODEL)
    }


def begin_with(model: keras.Model, weights: Weights) -> None:
    """Gives each variable of the model the weight of its name, where the shapes agree.

    A layer that is new, or of another size, keeps its initial weights; a progress event tells.

    Raises:
        ValueError: if no weight fits.
    """
    fitting = [
        variable
        for variable in model.variables
        if variable.name in weights and weights[variable.name].shape == tuple(variable.shape)
    ]
    if not fitting:
        raise ValueError(
            "train.warm_start: found true, and no variable of the last blessed model has the name "
            "and shape of one of this model; allowed: false, or a model with layers in common"
        )
    for variable in fitting:
        variable.assign(weights[variable.name])
    taken = {variable.name for variable in fitting}
    fresh = [variable.name for variable in model.variables if variable.name not in taken]
    emit("warm_start", taken=len(taken), fresh=fresh)
