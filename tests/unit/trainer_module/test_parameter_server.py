"""How a call is cut into parts for workers; the rest is shown by processes, in integration/."""

from __future__ import annotations

import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)
from trainer_module.data import Call
from trainer_module.parameter_server import divide


@pytest.mark.parametrize(
    ("steps", "workers", "parts"),
    [(10, 2, [5, 5]), (10, 3, [3, 3, 4]), (2, 3, [1, 1]), (7, 1, [7])],
)
def test_divide_when_a_call_is_cut_then_every_step_is_in_one_part(steps, workers, parts):
    found = divide(Call(30, steps), workers)
    assert [part.steps for part in found] == parts
    taken = [step for part in found for step in range(part.start, part.start + part.steps)]
    assert taken == list(range(30, 30 + steps))
