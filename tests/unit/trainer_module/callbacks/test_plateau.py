"""A plateau lowers the learning rate, by a factor that is part of the training's state."""

from __future__ import annotations

import json

import pytest

from trainer_module.callbacks import Plateau
from trainer_module.config import PlateauConfig


def _run(callback: Plateau, training, losses: list[float]) -> list[float]:
    """Returns the factor after each epoch."""
    callback.on_train_begin(training)
    factors = []
    for epoch, loss in enumerate(losses, start=1):
        callback.on_epoch_end(epoch, epoch * 10, {}, {"loss": loss})
        factors.append(float(training.state.plateau.numpy()))
    return factors


def test_plateau_when_patience_runs_out_then_lowers_the_rate_and_waits_anew(make_training):
    callback = Plateau(PlateauConfig(patience=2, factor=0.5))
    losses = [1.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.5]
    assert _run(callback, make_training(), losses) == [1.0, 1.0, 0.5, 0.5, 0.25, 0.25, 0.25]


def test_plateau_when_the_least_factor_is_reached_then_stays_there(make_training):
    callback = Plateau(PlateauConfig(patience=1, factor=0.25, min_factor=0.125))
    assert _run(callback, make_training(), [1.0] * 4) == [1.0, 0.25, 0.125, 0.125]


def test_plateau_when_the_mode_is_max_then_a_falling_metric_lowers_the_rate(make_training):
    callback = Plateau(PlateauConfig(patience=1, mode="max"))
    assert _run(callback, make_training(), [0.1, 0.2, 0.1]) == [1.0, 1.0, 0.5]


@pytest.mark.parametrize("cut", [1, 2, 3, 4, 5])
def test_plateau_when_resumed_at_any_epoch_then_lowers_where_it_would_have(make_training, cut):
    losses = [1.0, 1.0, 1.0, 0.9, 0.9, 0.9, 0.9]
    config = PlateauConfig(patience=2)
    whole = _run(Plateau(config), make_training(), losses)
    first, training = Plateau(config), make_training()
    before = _run(first, training, losses[:cut])
    second, resumed = Plateau(config), make_training()
    resumed.state.plateau.assign(training.state.plateau)  # as the checkpoint does
    second.restore(json.loads(json.dumps(first.state())))
    assert before + _run(second, resumed, losses[cut:]) == whole


def test_plateau_when_there_is_no_such_metric_then_names_key_and_metrics(make_training):
    callback = Plateau(PlateauConfig(metric="mae"))
    with pytest.raises(ValueError, match=r"^train\.plateau\.metric: found 'mae'; allowed: class"):
        callback.on_train_begin(make_training())
