"""An explosion of the loss or the gradients ends a training."""

from __future__ import annotations

import re

import pytest

from trainer_module.callbacks import Explosion, ExplosionError
from trainer_module.config import ExplosionConfig


def test_explosion_when_the_loss_passes_its_bound_then_names_value_steps_and_bound(make_training):
    callback = Explosion(ExplosionConfig(above=10.0))
    callback.on_train_begin(make_training(resumed_from=20))
    callback.on_call_end(30, {"loss": 10.0, "loss/class": 50.0, "gradient_norm": 1e9})
    message = (
        "train.callbacks.stop_on_explosion: found loss 10.5, the mean of steps 30 to 34; "
        "allowed: at most 10;"
    )
    with pytest.raises(ExplosionError, match=re.escape(message)):
        callback.on_call_end(35, {"loss": 10.5})


@pytest.mark.parametrize("name", ["gradient_norm", "gradient_norm/generator"])
def test_explosion_when_a_gradient_norm_passes_its_bound_then_names_it(make_training, name):
    callback = Explosion(ExplosionConfig(value="gradient_norm", above=1.0))
    callback.on_train_begin(make_training())
    callback.on_call_end(5, {"loss": 7.0, name: 1.0})
    with pytest.raises(ExplosionError, match=f"found {name} 2, the mean of steps 5 to 9"):
        callback.on_call_end(10, {"loss": 7.0, name: 2.0})
