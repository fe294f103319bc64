"""A budget of training time, over resumes."""

from __future__ import annotations

import json

from trainer_module.callbacks import TimeBudget


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_time_budget_when_it_is_used_up_then_stops_at_the_next_call(make_training):
    clock, training = Clock(), make_training()
    budget = TimeBudget(2.0, clock)
    clock.now += 500.0  # building the model does not count
    budget.on_train_begin(training)
    clock.now += 120.0
    budget.on_call_end(1, {})
    assert training.stopped is None
    clock.now += 0.5
    budget.on_call_end(2, {})
    assert training.stopped == "the 2 minutes of its time are used up"


def test_time_budget_when_resumed_then_the_time_before_the_checkpoint_counts(make_training):
    clock, training = Clock(), make_training()
    first = TimeBudget(1.0, clock)
    first.on_train_begin(make_training())
    clock.now += 45.0
    state = json.loads(json.dumps(first.state()))
    clock.now += 3600.0  # nobody trained
    second = TimeBudget(1.0, clock)
    second.restore(state)
    assert second.state() == {"seconds": 45.0}
    second.on_train_begin(training)
    clock.now += 14.0
    second.on_call_end(1, {})
    assert training.stopped is None
    clock.now += 2.0
    second.on_call_end(2, {})
    assert training.stopped
