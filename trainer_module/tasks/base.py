"""The interface between a task and the engine: what to learn, and nothing of how."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import tensorflow as tf
import tf_keras as keras

Tensors = Mapping[str, tf.Tensor]
PerExample = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
"""(labels [b, ...], predictions [b, ...]) -> [b], float32."""


@dataclass(frozen=True)
class Head:
    """One thing that a task predicts.

    Attributes:
        name: key of the head among the model's outputs; what a configuration calls it.
        label: transformed feature that holds the truth.
        loss: per-example loss.
        weight: of this loss in the total.
        metrics: per-example values whose means are reported, by name.
        served: the serving output, by name, that evaluation compares with the label.
    """

    name: str
    label: str
    loss: PerExample
    served: str
    weight: float = 1.0
    metrics: Mapping[str, PerExample] = field(default_factory=dict)


class Task(abc.ABC):
    """What to learn. The engine brings the loop, the devices, the checkpoints and the export.

    A subclass is named in the configuration by a short name or a dotted path; its constructor
    takes `task.options` as keyword arguments.
    """

    preprocessing_fn: ClassVar[Callable[..., dict[str, tf.Tensor]]]
    """(raw features, label=name of the raw label, **transform.options) -> transformed features.

    A plain function wrapped in `staticmethod`, and best in a module of its own: Transform is
    cached by the source of that module and of what it imports.
    """

    @property
    @abc.abstractmethod
    def heads(self) -> Sequence[Head]:
        """The heads, one loss each; the total is their weighted sum."""

    @abc.abstractmethod
    def build_model(self, feature_spec: Mapping[str, Any]) -> keras.Model:
        """Returns the model: a dict of transformed features in, a dict of outputs out.

        The outputs hold one tensor a head, by the head's name, and `embedding`, [b, d].
        """

    @abc.abstractmethod
    def serving_outputs(self, outputs: Tensors) -> dict[str, tf.Tensor]:
        """Turns the model's outputs into what a client of the served model gets."""

    def losses(self, outputs: Tensors, features: Tensors) -> dict[str, tf.Tensor]:
        """Returns each head's unweighted per-example loss, [b], float32."""
        return {h.name: h.loss(features[h.label], outputs[h.name]) for h in self.heads}

    def metrics(self, outputs: Tensors, features: Tensors) -> dict[str, tf.Tensor]:
        """Returns the per-example value of each metric as `head/metric`, [b], float32."""
        return {
            f"{head.name}/{name}": metric(features[head.label], outputs[head.name])
            for head in self.heads
            for name, metric in head.metrics.items()
        }
