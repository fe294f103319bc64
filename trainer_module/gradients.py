"""What may happen to summed gradients before they are applied: transforms, then clipping.

A transform is a class whose objects take (gradients, variables, step) and return gradients; a
configuration names it by dotted path. It runs in each replica, on the same summed gradients, and
has to give the same answer in each: random numbers come from stateless generators.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

import tensorflow as tf

from trainer_module.config import ClipConfig, NamedConfig
from trainer_module.dotted_path import make_object
from trainer_module.optimizers import variable_name

Gradients = list[tf.Tensor]


class GradientTransform(Protocol):
    """A change of the gradients of a step."""

    def __call__(
        self, gradients: Gradients, variables: Sequence[tf.Variable], step: tf.Tensor
    ) -> Gradients:
        """Returns as many gradients, each of its variable's shape; step is an int64 scalar."""


class Noise:
    """Adds Gaussian noise that fades: variance stddev^2 / (1 + step)^decay.

    Neelakantan et al., Adding Gradient Noise Improves Learning (arXiv:1511.06807), eq. 1.
    """

    def __init__(self, stddev: float = 0.1, decay: float = 0.55, seed: int = 0) -> None:
        self._stddev = stddev
        self._decay = decay
        self._seed = seed

    def __call__(
        self, gradients: Gradients, variables: Sequence[tf.Variable], step: tf.Tensor
    ) -> Gradients:
        stddev = self._stddev * tf.pow(1.0 + tf.cast(step, tf.float32), -self._decay / 2)
        return [
            gradient
            + tf.random.stateless_normal(
                gradient.shape, seed=tf.stack([step, self._seed * len(gradients) + index])
            )
            * stddev
            for index, gradient in enumerate(gradients)
        ]


class Scale:
    """Multiplies the gradients of variables whose names a pattern is found in."""

    def __init__(self, factor: float, pattern: str = "") -> None:
        self._factor = factor
        self._pattern = pattern

    def __call__(
        self, gradients: Gradients, variables: Sequence[tf.Variable], step: tf.Tensor
    ) -> Gradients:
        return [
            gradient * self._factor
            if re.search(self._pattern, variable_name(variable))
            else gradient
            for gradient, variable in zip(gradients, variables, strict=True)
        ]


class Centralization:
    """Takes from each kernel's gradient its mean over all axes but the last.

    Yong et al., Gradient Centralization (arXiv:2004.01461), eq. 1.
    """

    def __call__(
        self, gradients: Gradients, variables: Sequence[tf.Variable], step: tf.Tensor
    ) -> Gradients:
        return [
            gradient
            - tf.reduce_mean(gradient, axis=list(range(gradient.shape.rank - 1)), keepdims=True)
            if gradient.shape.rank > 1
            else gradient
            for gradient in gradients
        ]


def clip(gradients: Gradients, config: ClipConfig | None, global_norm: tf.Tensor) -> Gradients:
    """Returns the gradients within the bound: of each element, each gradient, or all together.

    Args:
        global_norm: of these gradients, scalar.
    """
    if config is None:
        return gradients
    if config.by == "value":
        return [tf.clip_by_value(gradient, -config.at, config.at) for gradient in gradients]
    if config.by == "norm":
        return [tf.clip_by_norm(gradient, config.at) for gradient in gradients]
    # A gradient that is not finite stays so, to be seen: 0 * inf and 0 * nan are nan.
    factor = config.at / tf.maximum(global_norm, config.at)
    return [gradient * factor for gradient in gradients]


def load_transforms(sections: Sequence[NamedConfig]) -> list[GradientTransform]:
    """Makes the gradient transforms of a configuration.

    Raises:
        ValueError: if a path leads to nothing, or its class does not take the options.
    """
    return [
        make_object(f"train.gradient_transforms.{index}", section)
        for index, section in enumerate(sections)
    ]
