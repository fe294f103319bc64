"""What a training minimizes and measures: the task's heads, as the configuration changes them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from trainer_module import metrics
from trainer_module.config import RegularizationConfig, TrainConfig
from trainer_module.dotted_path import load_object
from trainer_module.metrics import Metric, PerExample, as_metric
from trainer_module.optimizers import variable_name
from trainer_module.tasks import losses as named_losses
from trainer_module.tasks.base import Forward, Head, Phase, Task, Tensors

LOSS = "loss"

NORMS = ("gradient", "weight", "update")
"""First parts of the names under which a step reports the norms of each variable."""


def is_norm(name: str) -> bool:
    """Says whether a value of a step is the norm of a variable, `kind/variable`."""
    return name.partition("/")[0] in NORMS


class Layout:
    """Which number of a step's vector is what.

    The vector holds the loss, the sum of each head's loss, the sums of each metric, the sum of the
    rows' weights, and what else a step reports of itself.

    Attributes:
        size: of the vector.
        names: of all values that `read` returns, in order.

    Args:
        extras: what is meant over the steps.
        skipped: the extra that counts the steps that were skipped, if steps can be.
        not_skipped: the extras that are 0 in such a step, and meant over the others.
    """

    def __init__(
        self,
        losses: Sequence[str],
        measured: Mapping[str, Metric],
        extras: Sequence[str] = (),
        skipped: str | None = None,
        not_skipped: Sequence[str] = (),
    ) -> None:
        self._losses = [f"{LOSS}/{name}" for name in losses]
        self._metrics = dict(measured)
        self._extras = list(extras)
        self._skipped = skipped
        self._not_skipped = frozenset(not_skipped)
        self._rows = 1 + len(self._losses) + sum(m.size for m in self._metrics.values())
        self.size = self._rows + 1 + len(self._extras)
        self.names = [LOSS, *self._losses, *self._metrics, *self._extras]

    def read(self, vector: np.ndarray, steps: int | None = None) -> dict[str, float]:
        """Returns the values by name.

        Args:
            vector: [size], the sum over steps.
            steps: how many, to mean the loss and the extras over; None if the loss is a sum over
                rows, as that of an evaluation is.
        """
        rows = float(vector[self._rows])
        values = {LOSS: float(vector[0]) / (steps or rows)}
        place = 1
        for name in self._losses:
            values[name] = float(vector[place]) / rows
            place += 1
        for name, metric in self._metrics.items():
            sums = np.asarray(vector[place : place + metric.size], np.float64)
            values[name] = metric.result(sums, rows)
            place += metric.size
        extras = dict(zip(self._extras, vector[self._rows + 1 :].tolist(), strict=True))
        skipped = extras[self._skipped] if self._skipped else 0.0
        for name, total in extras.items():
            taken = (steps or 1) - (skipped if name in self._not_skipped else 0.0)
            values[name] = total / max(taken, 1.0)
        return values


class Objective:
    """The losses and metrics of a training: the task's, as the configuration changes them.

    Attributes:
        measured: metrics by `head/name`.

    Args:
        outputs: the model's for some rows; what kind a head is can be read off them.
        features: those rows.

    Raises:
        ValueError: if the configuration names a head, a loss, a metric or a feature that is not
            there.
    """

    def __init__(
        self, task: Task, config: TrainConfig, outputs: Tensors, features: Tensors
    ) -> None:
        self._task = task
        self._heads = {head.name: head for head in task.heads}
        self._example_weight = config.example_weight
        self._class_weights = config.class_weights
        self._regularization = config.regularization
        check_names(config, task.heads)
        if config.example_weight is not None and config.example_weight not in features:
            raise ValueError(
                f"train.example_weight: found {config.example_weight!r}; "
                f"allowed: transformed features, {', '.join(sorted(features))}"
            )
        for name, weights in config.class_weights.items():
            head = self._heads[name]
            _check_classes(weights, head, features[head.label], outputs[name])
        self._replaced = {
            head: find_loss(f"train.losses.{head}", name) for head, name in config.losses.items()
        }
        self._weights = {head.name: head.weight for head in task.heads if head.loss is not None}
        self.measured = {
            f"{head.name}/{name}": as_metric(metric)
            for head in task.heads
            for name, metric in head.metrics.items()
        }
        for name, wanted in config.metrics.items():
            labels = tf.convert_to_tensor(features[self._heads[name].label])
            for metric in wanted:
                try:
                    self.measured[f"{name}/{metric}"] = metrics.named(metric, labels, outputs[name])
                except ValueError as error:
                    raise ValueError(f"train.metrics.{name}: {error}") from error

    def evaluation_layout(self) -> Layout:
        return Layout(list(self._weights), self.measured)

    def evaluate(self, outputs: Tensors, features: Tensors, weight: tf.Tensor) -> tf.Tensor:
        """Returns the vector of `evaluation_layout` for rows of which each counts `weight`, [b]."""
        losses = {**self._task.losses(outputs, features), **self._losses_of(outputs, features)}
        rows = weight * self._example_weights(features, weight)
        sums = [tf.reduce_sum(_column(losses[name], name) * rows) for name in self._weights]
        weights = self._weights.values()
        total = tf.add_n([w * value for w, value in zip(weights, sums, strict=True)])
        measured = self._measure(outputs, features, weight)
        return tf.concat(
            [tf.stack([total, *sums]), measured, tf.reduce_sum(weight)[tf.newaxis]], axis=0
        )

    def minimize(
        self, phase: Phase, forward: Forward, features: Tensors, batch: int, parts: int
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Returns a phase's loss, its parts and its metrics, for a part of the global batch.

        Args:
            batch: rows of the global batch, which sums over rows are divided by.
            parts: how many make up the batch, over replicas and accumulation; penalties are
                divided by it.

        Returns:
            The loss, whose sum over the parts is that of the batch, scalar; the sum of each loss
            of the phase, [losses]; the metrics' sums, [0] if the pass is not measured.
        """
        losses = dict(forward.losses)
        if forward.outputs is not None:
            losses |= self._losses_of(forward.outputs, features)
        missing = sorted(set(phase.losses) - set(losses))
        if missing:
            raise ValueError(
                f"phase {phase.name!r}: found losses {sorted(losses)}; {missing} missing"
            )
        columns = {name: _column(losses[name], name) for name in phase.losses}
        ones = tf.ones_like(next(iter(columns.values())))
        rows = self._example_weights(features, ones)
        sums = tf.stack(
            [
                tf.reduce_sum(column * self._class_weight(name, rows, features))
                for name, column in columns.items()
            ]
        )
        total = tf.reduce_sum(sums * list(phase.losses.values())) / batch
        penalties = [*forward.penalties, *self._weight_penalties(phase.variables)]
        if penalties:
            total += tf.add_n([tf.cast(value, tf.float32) for value in penalties]) / parts
        if forward.outputs is None:
            return total, sums, tf.zeros([0])
        return total, sums, self._measure(forward.outputs, features, ones)

    def _losses_of(self, outputs: Tensors, features: Tensors) -> dict[str, tf.Tensor]:
        """Returns the losses that the configuration puts in place of the task's."""
        return {
            name: loss(features[self._heads[name].label], outputs[name])
            for name, loss in self._replaced.items()
        }

    def _measure(self, outputs: Tensors, features: Tensors, weight: tf.Tensor) -> tf.Tensor:
        sums = []
        for name, metric in self.measured.items():
            head = self._heads[name.rpartition("/")[0]]
            sums.append(metric.sums(features[head.label], outputs[head.name], weight))
        return tf.concat(sums, axis=0) if sums else tf.zeros([0])

    def _example_weights(self, features: Tensors, ones: tf.Tensor) -> tf.Tensor:
        if self._example_weight is None:
            return ones
        return tf.reshape(tf.cast(features[self._example_weight], tf.float32), [-1])

    def _class_weight(self, name: str, rows: tf.Tensor, features: Tensors) -> tf.Tensor:
        weights = self._class_weights.get(name)
        if not weights:
            return rows
        classes = tf.reshape(tf.cast(features[self._heads[name].label], tf.int64), [-1])
        weigh = [
            tf.where(tf.equal(classes, number), tf.constant(weight), 1.0)
            for number, weight in weights.items()
        ]
        return rows * tf.reduce_prod(tf.stack(weigh), axis=0)

    def _weight_penalties(self, variables: Sequence[tf.Variable]) -> list[tf.Tensor]:
        return [
            penalty
            for section in self._regularization
            for variable in variables
            if re.search(section.pattern, variable_name(variable))
            for penalty in _penalties(section, variable)
        ]


def check_names(config: TrainConfig, heads: Sequence[Head]) -> None:
    """Checks the names of the heads, and the heads, losses and metrics that a configuration names.

    Raises:
        ValueError: naming the key, what was found and what is allowed.
    """
    for name in (head.name for head in heads):
        if is_norm(name):
            raise ValueError(
                f"task: found a head named {name!r}; allowed: any name but "
                f"{', '.join(NORMS)}, under which the norms of each variable are reported"
            )
    learned = {head.name for head in heads if head.loss is not None}
    known = {head.name for head in heads}
    for key, names in (("losses", learned), ("metrics", known), ("class_weights", learned)):
        for name in getattr(config, key):
            if name not in names:
                raise ValueError(
                    f"train.{key}: found {name!r}; allowed: {', '.join(sorted(names))}"
                )
    for head, name in config.losses.items():
        find_loss(f"train.losses.{head}", name)
    metrics_named = {f"{head}/{name}" for head, names in config.metrics.items() for name in names}
    allowed = {LOSS, *(f"{LOSS}/{name}" for name in learned), *metrics_named}
    allowed |= {f"{head.name}/{metric}" for head in heads for metric in head.metrics}
    early_stop = config.callbacks.early_stop
    for key, section in (
        ("best", config.best),
        ("plateau", config.plateau),
        ("callbacks.early_stop", early_stop),
    ):
        if section is not None and section.metric not in allowed:
            raise ValueError(
                f"train.{key}.metric: found {section.metric!r}; "
                f"allowed: {', '.join(sorted(allowed))}"
            )


def find_loss(key: str, name: str) -> PerExample:
    """Returns a loss by its name in `tasks.losses`, or by dotted path.

    Raises:
        ValueError: if there is none.
    """
    known = named_losses.NAMES
    if name in known:
        return getattr(named_losses, name)
    if "." not in name:
        raise ValueError(f"{key}: found {name!r}; allowed: {', '.join(known)}, or a dotted path")
    return load_object(key, name)


def _penalties(section: RegularizationConfig, variable: tf.Variable) -> list[tf.Tensor]:
    found = []
    if section.l1:
        found.append(section.l1 * tf.reduce_sum(tf.abs(variable)))
    if section.l2:
        found.append(section.l2 * tf.reduce_sum(tf.square(variable)))
    return found


def _check_classes(weights: Mapping[int, float], head: Head, labels: Any, output: Any) -> None:
    """Checks that a head tells the classes apart that a configuration weighs.

    Raises:
        ValueError: if it does not.
    """
    key = f"train.class_weights.{head.name}"
    if not tf.convert_to_tensor(labels).dtype.is_integer:
        raise ValueError(f"{key}: found weights; allowed: on a head of classes, which this is not")
    classes = output.shape[-1] if output.shape.rank == 2 else 2
    beyond = sorted(number for number in weights if not 0 <= number < classes)
    if beyond:
        raise ValueError(f"{key}: found class {beyond[0]}; allowed: 0 to {classes - 1}")


def _column(values: tf.Tensor, name: str) -> tf.Tensor:
    """Returns per-example values as float32.

    Raises:
        ValueError: if they are not [b]; broadcast, they would train on nonsense in silence.
    """
    if values.shape.rank != 1:
        raise ValueError(f"task loss {name!r}: found {values.shape}; expected [b]")
    return tf.cast(values, tf.float32)
