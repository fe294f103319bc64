"""Begins a training with the weights of an exported model."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import tensorflow as tf
import tf_keras as keras

from trainer_module.progress import emit

Weights = Mapping[str, np.ndarray]


def read_weights(saved_model: str) -> dict[str, np.ndarray]:
    """Returns the variables of a model that `export.ServingModel` saved, by name."""
    loaded = tf.saved_model.load(saved_model)
    return {variable.name: variable.numpy() for variable in loaded.model.variables}


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
