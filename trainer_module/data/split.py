"""What a split of examples offers the loop, however it is stored.

Which rows a step sees is a function of the seed and the step alone. A training therefore resumes
at any step without replaying what it has read, and every worker of a cluster knows its part of
each batch without asking the others.
"""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import tensorflow as tf

from trainer_module.data.arrays import Arrays

Tensors = dict[str, tf.Tensor]

WEIGHT = "__weight__"
"""Feature of an eval batch: 1.0 for a row, 0.0 for the padding of the last batch. [b], float32."""


@dataclass(frozen=True)
class Call:
    """The steps of one call of the training function: `start` to `start + steps`, in one epoch."""

    start: int
    steps: int


@dataclass(frozen=True)
class Share:
    """The part of every batch that one input pipeline reads: consecutive replicas of all.

    Attributes:
        replicas: how many there are over all workers; each takes an equal part of a batch.
        first: index of the first replica that this pipeline feeds.
        count: how many it feeds.
    """

    replicas: int = 1
    first: int = 0
    count: int = 1


def plan_calls(
    start: int, total_steps: int, steps_per_epoch: int, steps_per_call: int
) -> list[Call]:
    """Returns the calls from step `start` on: `steps_per_call` each, or to the end of the epoch.

    The last call ends at `total_steps`.
    """
    calls = []
    while start < total_steps:
        to_boundary = min(steps_per_epoch - start % steps_per_epoch, total_steps - start)
        steps = min(steps_per_call, to_boundary)
        calls.append(Call(start, steps))
        start += steps
    return calls


@dataclass(frozen=True)
class Plan:
    """The batches of a training, whoever reads them.

    Attributes:
        calls: in order.
        steps_per_call: of the longest.
        batch_size: global; a replica's part is `batch_size / share.replicas`.
        seed: an integer, or an int64 scalar where the graph that reads draws it: then each process
            that reads gets an order of its own.
        augment: applied to every batch, with numbers drawn from (seed, step) for the whole global
            batch, so that a row is changed in the same way however many replicas share the step.
    """

    calls: Sequence[Call]
    steps_per_call: int
    batch_size: int
    seed: int
    augment: Augment | None = None


class Augment(Protocol):
    """A random change of a training batch.

    Attributes:
        draws: how many random numbers it takes a row.
    """

    draws: int

    def __call__(self, features: Tensors, uniforms: tf.Tensor) -> Tensors:
        """Returns the changed features, [b, *shape] each; uniforms [b, draws] float32 in [0, 1)."""


class Split(abc.ABC):
    """A split of transformed examples.

    Attributes:
        rows: how many examples it holds.
    """

    rows: int

    @abc.abstractmethod
    def head(self, count: int) -> Arrays:
        """Returns up to `count` examples, [rows, *shape] a feature."""

    @abc.abstractmethod
    def training(self, plan: Plan, share: Share) -> tf.data.Dataset:
        """Returns the batches of the plan's calls, all those of one call in one element.

        Each epoch is a permutation of the rows of its own, drawn from (seed, epoch); rows beyond
        the last whole batch sit that epoch out. A step holds the same rows however many replicas
        share it. Fetching a whole call at once costs the loop one visit to the iterator a call.

        Returns:
            Feature dicts, [steps_per_call, batch_size / replicas, *shape] each; `share.count`
            consecutive elements make up a call. Every element has as many batches, so that one
            trace serves all: of a shorter call those beyond its steps mean nothing.
        """

    @abc.abstractmethod
    def evaluation(self, batch_size: int, share: Share) -> tf.data.Dataset:
        """Returns every row once, in order; the last batch is padded with rows of weight 0.

        Returns:
            Feature dicts with `WEIGHT`, [batch_size / replicas, *shape] each; `share.count`
            consecutive elements make up a batch, and there are ceil(rows / batch_size) batches.
        """
