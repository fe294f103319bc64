"""How a call is cut into parts for workers; the rest is shown by processes, in integration/."""

from __future__ import annotations

import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import numpy as np  # isort: skip
import tensorflow as tf  # isort: skip

from trainer_module.data import Call, MemorySplit, Plan, Share, plan_calls  # isort: skip
from trainer_module.parameter_server import divide, worker_seed  # isort: skip


@pytest.mark.parametrize(
    ("steps", "workers", "parts"),
    [(10, 2, [5, 5]), (10, 3, [3, 3, 4]), (2, 3, [1, 1]), (7, 1, [7])],
)
def test_divide_when_a_call_is_cut_then_every_step_is_in_one_part(steps, workers, parts):
    found = divide(Call(30, steps), workers)
    assert [part.steps for part in found] == parts
    taken = [step for part in found for step in range(part.start, part.start + part.steps)]
    assert taken == list(range(30, 30 + steps))


def test_worker_seed_when_workers_read_the_same_rows_then_each_has_an_order_of_its_own():
    split = MemorySplit({"id": np.arange(64, dtype=np.int64)})

    def order(seed: int, worker: int) -> bytes:
        drawn = worker_seed(seed, tf.constant(worker, tf.int64))
        dataset = split.training(Plan(plan_calls(0, 8, 8, 8), 8, 8, drawn), Share())
        return next(iter(dataset))["id"].numpy().tobytes()

    orders = [order(seed, worker) for seed in (0, 1) for worker in (1, 2, 3)]
    assert len(set(orders)) == 6
    assert order(0, 1) == orders[0]
