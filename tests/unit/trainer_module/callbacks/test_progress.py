"""The events of a training's progress."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from trainer_module.callbacks import Progress
from trainer_module.progress import LOGGER_NAME


def _events(caplog: pytest.LogCaptureFixture) -> list[dict]:
    return [record.event for record in caplog.records if record.name == LOGGER_NAME]


def test_progress_when_a_training_runs_then_logs_its_events(caplog, make_training):
    progress = Progress(interval=0.0)
    with caplog.at_level(logging.INFO, logger=LOGGER_NAME):
        progress.on_train_begin(make_training(resumed_from=10))
        progress.on_call_end(15, {"loss": np.float32(0.123456789)})
        progress.on_epoch_end(2, 20, {"loss": 0.5}, {"loss": 0.75})
    begin, call, epoch = _events(caplog)
    assert begin == {"kind": "train_begin", "step": 10, "total_steps": 40, "steps_per_epoch": 10}
    assert call.pop("steps_per_second") > 0
    assert call.pop("values") == {"loss": pytest.approx(0.123457, abs=1e-6)}
    assert call == {"kind": "train_step", "step": 15, "total_steps": 40, "epoch": 2}
    assert epoch == {
        "kind": "epoch_end",
        "epoch": 2,
        "step": 20,
        "train": {"loss": 0.5},
        "eval": {"loss": 0.75},
    }


def test_progress_when_steps_report_their_layers_then_tells_of_the_training_alone(
    caplog, make_training
):
    values = {"loss": 1.0, "gradient/a": 2.0, "weight/a": 3.0, "update/a": 4.0}
    progress = Progress(interval=0.0)
    with caplog.at_level(logging.INFO, logger=LOGGER_NAME):
        progress.on_train_begin(make_training())
        progress.on_call_end(5, values)
        progress.on_epoch_end(1, 10, values, {"loss": 0.75})
    _, call, epoch = _events(caplog)
    assert call["values"] == epoch["train"] == {"loss": 1.0}


def test_progress_when_calls_come_fast_then_tells_of_one_an_interval(
    caplog, monkeypatch, make_training
):
    clock = iter([100.0, 100.5, 101.0, 101.75, 102.0])
    training = make_training()
    monkeypatch.setattr(
        "trainer_module.callbacks.progress.time.monotonic", lambda: next(clock, 103.0)
    )
    progress = Progress(interval=1.0)
    with caplog.at_level(logging.INFO, logger=LOGGER_NAME):
        progress.on_train_begin(training)
        for step in (1, 2, 3, 4):
            progress.on_call_end(step, {})
    steps = [(e["step"], e["steps_per_second"]) for e in _events(caplog)[1:]]
    assert steps == [(1, 2.0), (3, 1.7)]


@pytest.mark.parametrize(("step", "epoch"), [(1, 1), (10, 1), (11, 2), (20, 2), (21, 3)])
def test_progress_when_a_step_ends_then_names_the_epoch_that_it_is_in(
    caplog, make_training, step, epoch
):
    progress = Progress(interval=0.0)
    with caplog.at_level(logging.INFO, logger=LOGGER_NAME):
        progress.on_train_begin(make_training())
        progress.on_call_end(step, {})
    assert _events(caplog)[-1]["epoch"] == epoch
