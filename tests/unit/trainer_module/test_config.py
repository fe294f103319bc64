"""What the training section of a configuration refuses."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from trainer_module.config import BestConfig, OptimizerConfig, TaskConfig, TrainConfig

VALID = {"epochs": 1, "batch_size": 32}


def test_train_config_when_only_the_needed_is_given_then_the_rest_has_defaults():
    config = TrainConfig(**VALID)
    assert (config.strategy, config.replicas, config.seed) == ("default", None, 0)
    assert (config.best.metric, config.best.mode) == ("loss", "min")
    assert config.optimizer.clip_global_norm == 1.0


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": 0},
        {"batch_size": 0},
        {"eval_batch_size": 0},
        {"steps_per_call": 0},
        {"checkpoint_every_steps": 0},
        {"seed": -1},
        {"seed": 2**31},
        {"strategy": "tpu"},
        {"epochs": "3"},
        {"epoch": 3},
    ],
    ids=str,
)
def test_train_config_when_a_value_is_not_allowed_then_names_its_key(change):
    with pytest.raises(ValidationError) as error:
        TrainConfig(**(VALID | change))
    assert error.value.errors()[0]["loc"] == tuple(change)


def test_train_config_when_replicas_are_given_without_mirrored_then_says_what_is_allowed():
    with pytest.raises(ValidationError, match=r"replicas: found 2 with strategy 'default'"):
        TrainConfig(**VALID, replicas=2)


@pytest.mark.parametrize("name", ["batch_size", "eval_batch_size"])
def test_train_config_when_replicas_do_not_divide_a_batch_then_names_both(name):
    config = {"epochs": 1, "batch_size": 32, "eval_batch_size": 32, name: 33}
    with pytest.raises(ValidationError, match=rf"{name}: found 33; .* multiple of replicas \(2\)"):
        TrainConfig(**config, strategy="mirrored", replicas=2)


@pytest.mark.parametrize(
    "change",
    [
        {"learning_rate": 0.0},
        {"weight_decay": -0.1},
        {"warmup_epochs": -1.0},
        {"final_fraction": 1.5},
        {"clip_global_norm": 0.0},
        {"learning_rate": float("nan")},
        {"learning_rate": float("inf")},
    ],
    ids=str,
)
def test_optimizer_config_when_a_value_is_not_allowed_then_names_its_key(change):
    with pytest.raises(ValidationError) as error:
        OptimizerConfig(**change)
    assert error.value.errors()[0]["loc"] == tuple(change)


def test_optimizer_config_when_clipping_is_null_then_it_is_off():
    assert OptimizerConfig(clip_global_norm=None).clip_global_norm is None


def test_sections_when_made_then_cannot_be_changed():
    for section, name in (
        (TrainConfig(**VALID), "epochs"),
        (BestConfig(), "mode"),
        (TaskConfig(name="digits"), "name"),
    ):
        with pytest.raises(ValidationError, match="frozen"):
            setattr(section, name, getattr(section, name))
