"""Stopping early: what counts as an improvement, and what a checkpoint remembers of it."""

from __future__ import annotations

import json

import pytest

from trainer_module.callbacks import EarlyStop
from trainer_module.config import EarlyStopConfig


def _run(callback: EarlyStop, training, losses: list[float], metric: str = "loss") -> int | None:
    """Returns the epoch at which the training is stopped; None if it is not."""
    callback.on_train_begin(training)
    for epoch, loss in enumerate(losses, start=1):
        callback.on_epoch_end(epoch, epoch * 10, {}, {metric: loss})
        if training.stopped:
            return epoch
    return None


@pytest.mark.parametrize(
    ("options", "values", "stopped"),
    [
        ({"patience": 2}, [3.0, 2.0, 2.0, 2.5], 4),
        ({"patience": 2}, [3.0, 2.0, 2.0, 1.9, 2.0], None),
        ({"patience": 1}, [1.0, 1.0], 2),
        ({"patience": 2, "mode": "max"}, [0.1, 0.2, 0.2, 0.1], 4),
        ({"patience": 1, "min_delta": 0.1}, [1.0, 0.95], 2),
        ({"patience": 1, "min_delta": 0.1}, [1.0, 0.875, 0.75], None),
        ({"patience": 2}, [1.0, float("nan"), float("nan")], 3),
    ],
)
def test_early_stop_when_epochs_do_not_improve_then_stops_at_patience(
    make_training, options, values, stopped
):
    assert _run(EarlyStop(EarlyStopConfig(**options)), make_training(), values) == stopped


def test_early_stop_when_slow_gains_add_up_then_they_count_as_an_improvement(make_training):
    config = EarlyStopConfig(patience=3, min_delta=0.1)
    assert _run(EarlyStop(config), make_training(), [1.0, 0.95, 0.89, 0.85, 0.8]) is None


def test_early_stop_when_it_stops_then_says_why(make_training):
    training = make_training()
    _run(EarlyStop(EarlyStopConfig(patience=2)), training, [0.5, 0.6, 0.7])
    assert training.stopped == "loss no better than 0.5 for 2 epochs, at epoch 3"


@pytest.mark.parametrize("cut", [1, 2, 3, 4])
def test_early_stop_when_resumed_at_any_epoch_then_stops_where_it_would_have(make_training, cut):
    losses = [3.0, 2.0, 2.5, 1.9, 1.9, 1.95, 1.9]
    config = EarlyStopConfig(patience=3)
    assert _run(EarlyStop(config), make_training(), losses) == 7
    first = EarlyStop(config)
    _run(first, make_training(), losses[:cut])
    second = EarlyStop(config)
    second.restore(json.loads(json.dumps(first.state())))
    assert _run(second, make_training(), losses[cut:]) == 7 - cut


def test_early_stop_when_there_is_no_such_metric_then_names_key_and_metrics(make_training):
    callback = EarlyStop(EarlyStopConfig(metric="accuracy"))
    message = "train.callbacks.early_stop.metric: found 'accuracy'; allowed: class/accuracy, loss"
    with pytest.raises(ValueError, match=f"^{message}$"):
        callback.on_train_begin(make_training())
