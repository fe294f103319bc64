"""The interface between a task and the engine: what to learn, and nothing of how."""

from __future__ import annotations

import abc
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import tensorflow as tf
import tf_keras as keras
from pydantic import BaseModel

from trainer_module.config import OptimizerConfig, TaskConfig
from trainer_module.metrics import Metric, PerExample
from trainer_module.tasks.columns import ColumnTypes

if TYPE_CHECKING:
    from trainer_module.callbacks import Callback

Tensors = Mapping[str, tf.Tensor]

SAMPLES = "samples"
"""Folder, in that of a training, of what a task's callbacks leave to look at."""

COMMON_SIGNATURES = (
    "serving_default",
    "serving_raw",
    "embedding",
    "transform_features",
    "transformed",
)
"""The signatures that every exported model has."""

CLASSIFY, REGRESS = "classify", "regress"
"""The signatures by which TF Serving's Classify and Regress answer, where a task has them."""

RESERVED_SIGNATURES = (*COMMON_SIGNATURES, CLASSIFY, REGRESS)
"""What the signatures of a task's own are not called."""


@dataclass(frozen=True)
class Head:
    """One thing that a task predicts.

    Attributes:
        name: key of the head among the model's outputs; what a configuration calls it.
        label: transformed feature that holds the truth.
        loss: per-example loss; None for what is measured and not learned as such.
        weight: of this loss in the total.
        metrics: what is reported, by name: a `Metric`, or a function whose mean it is.
        served: the serving output, by name, that evaluation compares with the label.
    """

    name: str
    label: str
    loss: PerExample | None
    served: str
    weight: float = 1.0
    metrics: Mapping[str, PerExample | Metric] = field(default_factory=dict)


@dataclass(frozen=True)
class Forward:
    """What one forward pass gave.

    Attributes:
        losses: per-example losses by name, [b] float32, not weighted yet.
        outputs: of the model, for the metrics; None where a pass is not measured.
        penalties: scalars that belong to the model rather than to a row.
    """

    losses: Mapping[str, tf.Tensor]
    outputs: Tensors | None = None
    penalties: Sequence[tf.Tensor] = ()


@dataclass(frozen=True)
class Phase:
    """One optimizer's part of a training step.

    Most tasks have one phase. An adversarial task has one for each player, which take turns.

    Attributes:
        name: what the logs call it.
        variables: what it updates.
        losses: names of the losses of `forward`, and their weights in the total.
        forward: features of a replica's batch -> its losses; called under the phase's tape.
        repeats: how often in a step, on the same batch; random numbers are drawn anew.
        optimizer: of its own; None for the configuration's.
        measured: False where `forward` returns no outputs. The first ones that a phase returns
            are what the metrics of the training are computed of.

    Raises:
        ValueError: if it is not repeated at least once.
    """

    name: str
    variables: Sequence[tf.Variable]
    losses: Mapping[str, float]
    forward: Callable[[Tensors], Forward]
    repeats: int = 1
    optimizer: OptimizerConfig | None = None
    measured: bool = True

    def __post_init__(self) -> None:
        if self.repeats < 1:
            raise ValueError(
                f"phase {self.name!r}: found repeats {self.repeats}; allowed: at least 1"
            )


@dataclass(frozen=True)
class Signature:
    """Something that the served model does besides answering about rows.

    Attributes:
        function: keyword tensors -> a dict of tensors; rows are answered one by one, since a
            server may batch those of several clients.
        example: inputs by name, [rows, ...] each: what the export is checked with, and what says
            their types and shapes.
    """

    function: Callable[..., dict[str, tf.Tensor]]
    example: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Classification:
    """What TF Serving's Classify answers: for each row some classes, each with a score.

    Attributes:
        classes: [b, n] string.
        scores: [b, n] float32.
    """

    classes: tf.Tensor
    scores: tf.Tensor

    @classmethod
    def of_all(cls, names: Sequence[str], scores: tf.Tensor) -> Classification:
        """Returns every row's scores [b, n] of the n classes with these names."""
        return cls(tf.broadcast_to(tf.constant(list(names)), tf.shape(scores)), scores)


def _no_problems(columns: ColumnTypes, label: str, **options: Any) -> list[str]:
    """Takes any columns: what does not fit shows when Transform traces `preprocessing_fn`."""
    return []


def _every_column(label: str, **options: Any) -> Collection[str] | None:
    """Reads whatever there is, as far as anybody knows."""
    return None


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

    column_problems: ClassVar[Callable[..., list[str]]] = staticmethod(_no_problems)
    """(types of raw columns, label=..., **transform.options) -> what `preprocessing_fn` would not
    take of them, as `key: found X; allowed: Y`.

    A plain function wrapped in `staticmethod`. It is asked before a run, when most types are not
    known yet, and again by AnomalyGate, when all are: `trainer_module.tasks.columns.ColumnTypes`.
    """

    columns_read: ClassVar[Callable[..., Collection[str] | None]] = staticmethod(_every_column)
    """(label=..., **transform.options) -> the raw columns that `preprocessing_fn` reads; None: all.

    A plain function wrapped in `staticmethod`. What is odd about other columns stops no run.
    """

    sparse_inputs: ClassVar[bool] = False
    """True: preprocessing_fn takes every raw feature as a SparseTensor, so that any row may lack
    it; False: dense, of fixed length."""

    options_section: ClassVar[type[BaseModel] | None] = None
    """What checks `task.options`, so that a mistake in them is told by its key; None for what
    they are to the constructor alone."""

    config: TaskConfig | None = None
    """What made the task; None for one that was not made from a configuration."""

    @property
    def label_values(self) -> Sequence[str | int] | None:
        """What the raw label of a row may be; rows with another are bad. None: anything finite."""
        return None

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

    def transform_options(self) -> Mapping[str, Any]:
        """Returns options of its preprocessing_fn that follow from the task's own.

        Values are what JSON holds. `transform.options` goes before them.
        """
        return {}

    def losses(self, outputs: Tensors, features: Tensors) -> dict[str, tf.Tensor]:
        """Returns each head's unweighted per-example loss, [b], float32."""
        return {
            h.name: h.loss(features[h.label], outputs[h.name])
            for h in self.heads
            if h.loss is not None
        }

    def phases(self, model: keras.Model) -> Sequence[Phase]:
        """Returns what a training step consists of: one phase, all heads, unless overridden."""

        def forward(features: Tensors) -> Forward:
            outputs = float32(model(features, training=True))
            return Forward(self.losses(outputs, features), outputs, model.losses)

        weights = {head.name: head.weight for head in self.heads if head.loss is not None}
        return [Phase("main", model.trainable_variables, weights, forward)]

    def signatures(self, model: keras.Model) -> Mapping[str, Signature]:
        """Returns the signatures of the task's own, by name; none of `RESERVED_SIGNATURES`."""
        return {}

    def classification(self, outputs: Tensors) -> Classification | None:
        """Turns the model's outputs into what Classify answers; None without such."""
        return None

    def regression(self, outputs: Tensors) -> tf.Tensor | None:
        """Turns the model's outputs into what Regress answers, [b] float32; None without such."""
        return None

    def callbacks(self, folder: str) -> Sequence[Callback]:
        """Returns what watches a training of this task, whatever the configuration asks for.

        Args:
            folder: of the training; what is written to `tensorboard` and `samples` in it goes
                with the model run.
        """
        return ()


def float32(outputs: Tensors) -> dict[str, tf.Tensor]:
    """Returns a model's outputs with 16-bit floats widened: losses and metrics are not for them."""
    return {
        name: tf.cast(value, tf.float32) if value.dtype in (tf.float16, tf.bfloat16) else value
        for name, value in outputs.items()
    }
