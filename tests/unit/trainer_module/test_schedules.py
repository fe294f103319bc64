"""Linear warmup and half a cosine, driven by the loop's step."""

from __future__ import annotations

import numpy as np
import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip

from trainer_module.schedules import WarmupCosine  # isort: skip

PEAK, WARMUP, TOTAL, FINAL = 0.02, 10, 110, 0.05


def _schedule(step: tf.Variable, **changes: float) -> WarmupCosine:
    arguments = {
        "peak": PEAK,
        "warmup_steps": WARMUP,
        "total_steps": TOTAL,
        "final_fraction": FINAL,
    }
    return WarmupCosine(step=step, **(arguments | changes))


def _closed_form(step: int) -> float:
    if step < WARMUP:
        return PEAK * (step + 1) / WARMUP
    cosine = (1 + np.cos(np.pi * (step - WARMUP) / (TOTAL - WARMUP))) / 2
    return PEAK * (FINAL + (1 - FINAL) * cosine)


@pytest.fixture
def step() -> tf.Variable:
    return tf.Variable(0, dtype=tf.int64)


@pytest.mark.parametrize("at", [0, 1, 4, 9, 10, 11, 35, 60, 85, 108, 109])
def test_warmup_cosine_when_at_any_step_then_equals_the_closed_form(step, at):
    step.assign(at)
    rate = _schedule(step)(tf.constant(0))
    assert rate.dtype == tf.float32
    np.testing.assert_allclose(rate, _closed_form(at), rtol=1e-5)


@pytest.mark.parametrize(
    ("at", "rate"),
    [
        pytest.param(0, PEAK / WARMUP, id="first"),
        pytest.param(WARMUP - 1, PEAK, id="end of warmup"),
        pytest.param(WARMUP, PEAK, id="start of cosine"),
        pytest.param((WARMUP + TOTAL) // 2, PEAK * (1 + FINAL) / 2, id="middle of cosine"),
        pytest.param(TOTAL, PEAK * FINAL, id="after the last"),
        pytest.param(TOTAL + 50, PEAK * FINAL, id="beyond"),
    ],
)
def test_warmup_cosine_when_at_a_turn_then_has_the_rate_of_it(step, at, rate):
    step.assign(at)
    np.testing.assert_allclose(_schedule(step)(tf.constant(0)), rate, rtol=1e-5)


def test_warmup_cosine_when_there_is_no_warmup_then_starts_at_the_peak(step):
    np.testing.assert_allclose(_schedule(step, warmup_steps=0)(tf.constant(0)), PEAK, rtol=1e-6)


def test_warmup_cosine_when_the_optimizer_counts_otherwise_then_follows_the_loops_step(step):
    schedule = _schedule(step)
    step.assign(30)
    assert float(schedule(tf.constant(0))) == float(schedule(tf.constant(99)))
    np.testing.assert_allclose(schedule(tf.constant(99)), _closed_form(30), rtol=1e-5)


def test_warmup_cosine_when_traced_once_then_reads_the_step_at_each_call(step):
    schedule = _schedule(step)
    rate = tf.function(lambda: schedule(tf.constant(0)))
    found = []
    for at in (0, 9, 60):
        step.assign(at)
        found.append(float(rate()))
    np.testing.assert_allclose(found, [_closed_form(at) for at in (0, 9, 60)], rtol=1e-5)


def test_warmup_cosine_when_asked_for_its_config_then_gives_plain_numbers(step):
    assert _schedule(step).get_config() == {
        "peak": PEAK,
        "warmup_steps": WARMUP,
        "decay_steps": TOTAL - WARMUP,
        "final_fraction": FINAL,
    }
