"""Each schedule against its formula in numpy, and warmup before any of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip

from trainer_module.config import ScheduleConfig  # isort: skip
from trainer_module.schedules import make_schedule  # isort: skip

PER_EPOCH, TOTAL = 10, 110
STEPS = np.arange(TOTAL)


def factors(steps_per_epoch: int = PER_EPOCH, total: int = TOTAL, **config: Any) -> np.ndarray:
    """Returns the factors of all steps, by the schedule."""
    schedule = make_schedule(ScheduleConfig(**config), steps_per_epoch, total)
    found = schedule(tf.range(total, dtype=tf.int64))
    assert found.dtype == tf.float32
    return found.numpy()


def constant(after: np.ndarray) -> np.ndarray:
    return np.ones_like(after)


def cosine(after: np.ndarray) -> np.ndarray:
    return 0.05 + 0.95 * (1 + np.cos(np.pi * after / (after[-1] + 1))) / 2


def exponential(after: np.ndarray) -> np.ndarray:
    return 0.5 ** (after / 20)


def staircase(after: np.ndarray) -> np.ndarray:
    return 0.5 ** (after // 20)


KINDS = [
    pytest.param({"kind": "constant"}, constant, id="constant"),
    pytest.param({"kind": "cosine", "final_fraction": 0.05}, cosine, id="cosine"),
    pytest.param(
        {"kind": "exponential", "decay_rate": 0.5, "decay_epochs": 2.0},
        exponential,
        id="exponential",
    ),
    pytest.param(
        {"kind": "exponential", "decay_rate": 0.5, "decay_epochs": 2.0, "staircase": True},
        staircase,
        id="staircase",
    ),
]


@pytest.mark.parametrize(("config", "formula"), KINDS)
@pytest.mark.parametrize("warmup_epochs", [0.0, 1.0, 2.5])
def test_schedule_when_at_any_step_then_equals_warmup_and_then_the_formula(
    config: dict, formula: Callable[[np.ndarray], np.ndarray], warmup_epochs: float
):
    warmup = int(warmup_epochs * PER_EPOCH)
    expected = np.concatenate(
        [(STEPS[:warmup] + 1) / max(warmup, 1), formula(np.arange(TOTAL - warmup))]
    )
    found = factors(**config, warmup_epochs=warmup_epochs)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("warmup_epochs", [0.0, 1.0])
def test_piecewise_when_a_boundary_is_reached_then_has_its_factor_from_that_step_on(warmup_epochs):
    found = factors(
        kind="piecewise",
        boundaries=[2.0, 5.5],
        factors=[0.1, 0.01],
        warmup_epochs=warmup_epochs,
    )
    np.testing.assert_allclose(found[10:20], 1.0)
    np.testing.assert_allclose(found[20:55], 0.1, rtol=1e-6)
    np.testing.assert_allclose(found[55:], 0.01, rtol=1e-6)
    warmup = (STEPS[:10] + 1) / 10 if warmup_epochs else np.ones(10)
    np.testing.assert_allclose(found[:10], warmup, rtol=1e-6)


@pytest.mark.parametrize(
    ("at", "factor"),
    [
        pytest.param(0, 0.1, id="first"),
        pytest.param(9, 1.0, id="end of warmup"),
        pytest.param(10, 1.0, id="start of the cosine"),
        pytest.param(60, 0.525, id="its middle"),
        pytest.param(110, 0.05, id="after the last step"),
        pytest.param(1000, 0.05, id="beyond"),
    ],
)
def test_cosine_when_at_a_turn_then_has_the_factor_of_it(at, factor):
    config = ScheduleConfig(warmup_epochs=1.0, final_fraction=0.05)
    schedule = make_schedule(config, PER_EPOCH, TOTAL)
    np.testing.assert_allclose(schedule(tf.constant(at, tf.int64)), factor, rtol=1e-5)


def test_warmup_when_it_outlasts_the_training_then_leaves_the_last_step_to_the_schedule():
    found = factors(total=30, warmup_epochs=50.0, final_fraction=0.0)
    np.testing.assert_allclose(found, [*(np.arange(29) + 1) / 29, 1.0], rtol=1e-6)


@pytest.mark.parametrize("kind", ["constant", "cosine", "exponential"])
def test_schedule_when_the_training_is_a_single_step_then_takes_it_at_the_peak(kind):
    found = factors(steps_per_epoch=1, total=1, kind=kind, warmup_epochs=3.0)
    np.testing.assert_array_equal(found, [1.0])


@pytest.mark.parametrize(
    "config",
    [
        {"kind": "cosine", "warmup_epochs": 1},
        {"kind": "exponential", "decay_rate": 0.9, "decay_epochs": 1, "warmup_epochs": 0},
    ],
)
def test_factors_when_steps_are_taken_in_longer_calls_then_are_the_same_bits(config):
    schedule = make_schedule(ScheduleConfig.model_validate(config), 20, 2000)
    alone = tf.function(lambda step: schedule(step[tf.newaxis])[0])
    together = tf.function(schedule)
    steps = tf.range(2000, dtype=tf.int64)
    singles = np.array([alone(step).numpy() for step in steps])
    for length in (7, 8, 10, 50):
        calls = [together(steps[i : i + length]).numpy() for i in range(0, 2000, length)]
        assert np.concatenate(calls).tobytes() == singles.tobytes(), length
