"""What may happen to gradients between the sum over replicas and the update."""

from __future__ import annotations

import numpy as np
import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip

from trainer_module.config import ClipConfig, NamedConfig  # isort: skip
from trainer_module.gradients import (  # isort: skip
    Centralization,
    Noise,
    Scale,
    clip,
    load_transforms,
)

RNG = np.random.default_rng(0)


def at(step: int) -> tf.Tensor:
    return tf.constant(step, tf.int64)


@pytest.fixture(scope="module")
def variables() -> list[tf.Variable]:
    return [
        tf.Variable(tf.zeros([3, 3, 4, 5]), name="conv/kernel"),
        tf.Variable(tf.zeros([5]), name="conv/bias"),
        tf.Variable(tf.zeros([6, 5]), name="dense/kernel"),
    ]


@pytest.fixture(scope="module")
def gradients(variables) -> list[tf.Tensor]:
    return [tf.constant(RNG.normal(size=v.shape), tf.float32) for v in variables]


WIDE = [tf.zeros([200, 500])]
"""A gradient of many elements, whose noise is its own."""


@pytest.mark.parametrize("step", [0, 1, 99, 9_999])
def test_noise_when_added_then_has_the_variance_of_the_formula_and_mean_0(step):
    (noise,) = Noise(stddev=0.3, decay=0.55)(WIDE, [], at(step))
    variance = 0.3**2 / (1 + step) ** 0.55
    np.testing.assert_allclose(np.var(noise), variance, rtol=0.02)
    assert abs(np.mean(noise)) < 5 * np.sqrt(variance / 100_000)


def test_noise_when_added_then_leaves_the_gradient_beneath(variables, gradients):
    noise = Noise()
    silent = noise([tf.zeros_like(gradient) for gradient in gradients], variables, at(5))
    for noisy, gradient, alone in zip(
        noise(gradients, variables, at(5)), gradients, silent, strict=True
    ):
        np.testing.assert_allclose(noisy, gradient + alone, rtol=1e-5, atol=1e-6)


def test_noise_when_drawn_again_for_a_step_then_is_the_same_in_each_replica():
    """Stateless: neither an earlier draw nor another object changes it."""
    noise = Noise(seed=3)
    (first,) = noise(WIDE, [], at(7))
    noise(WIDE, [], at(8))
    for again in (noise, Noise(seed=3)):
        np.testing.assert_array_equal(again(WIDE, [], at(7))[0], first)


def test_noise_when_step_seed_or_variable_is_another_then_is_independent():
    first, second = Noise(seed=0)([WIDE[0], WIDE[0]], [], at(7))
    (other_step,) = Noise(seed=0)(WIDE, [], at(8))
    (other_seed,) = Noise(seed=1)(WIDE, [], at(7))
    for other in (second, other_step, other_seed):
        correlation = np.corrcoef(np.ravel(first), np.ravel(other))[0, 1]
        assert abs(correlation) < 0.02


def test_scale_when_a_pattern_fits_then_multiplies_those_gradients_alone(variables, gradients):
    found = Scale(0.5, pattern="^conv/")(gradients, variables, at(0))
    for value, gradient, factor in zip(found, gradients, (0.5, 0.5, 1.0), strict=True):
        np.testing.assert_array_equal(value, gradient * factor)


def test_scale_when_the_pattern_asks_for_the_end_of_a_name_then_finds_it(variables, gradients):
    """The name is `conv/kernel`, without TensorFlow's `:0`, as in parameter groups."""
    found = Scale(0.5, pattern="kernel$")(gradients, variables, at(0))
    for value, gradient, factor in zip(found, gradients, (0.5, 1.0, 0.5), strict=True):
        np.testing.assert_array_equal(value, gradient * factor)


def test_centralization_when_applied_then_takes_the_mean_of_each_output_from_kernels(
    variables, gradients
):
    conv, bias, dense = Centralization()(gradients, variables, at(0))
    np.testing.assert_allclose(
        conv, gradients[0] - np.mean(gradients[0], axis=(0, 1, 2)), rtol=1e-5, atol=1e-6
    )
    np.testing.assert_array_equal(bias, gradients[1])
    np.testing.assert_allclose(np.mean(dense, axis=0), np.zeros(5), atol=1e-6)


def _clip(gradients: list[tf.Tensor], by: str, bound: float) -> list[tf.Tensor]:
    return clip(gradients, ClipConfig(by=by, at=bound), tf.linalg.global_norm(gradients))


def test_clip_when_it_is_off_then_returns_what_came(gradients):
    assert clip(gradients, None, tf.linalg.global_norm(gradients)) is gradients


def test_clip_when_by_value_then_bounds_each_element(gradients):
    for value, gradient in zip(_clip(gradients, "value", 0.5), gradients, strict=True):
        np.testing.assert_array_equal(value, np.clip(gradient, -0.5, 0.5))


def test_clip_when_by_norm_then_bounds_each_gradient_for_itself(gradients):
    norms = [np.linalg.norm(np.ravel(gradient)) for gradient in gradients]
    bound = sorted(norms)[1]
    for value, gradient, norm in zip(
        _clip(gradients, "norm", bound), gradients, norms, strict=True
    ):
        np.testing.assert_allclose(value, gradient * min(1.0, bound / norm), rtol=1e-5)


@pytest.mark.parametrize("share", [0.1, 1.0, 10.0])
def test_clip_when_by_global_norm_then_shortens_all_together(gradients, share):
    norm = np.sqrt(sum(np.sum(np.square(gradient)) for gradient in gradients))
    for value, gradient in zip(
        _clip(gradients, "global_norm", share * norm), gradients, strict=True
    ):
        np.testing.assert_allclose(value, gradient * min(1.0, share), rtol=1e-5)


@pytest.mark.parametrize("by", ["norm", "global_norm"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_clip_when_a_gradient_is_not_finite_then_it_stays_visible(by, bad):
    broken = [tf.constant([1.0, bad]), tf.constant([2.0])]
    assert not np.all(np.isfinite(_clip(broken, by, 1.0)[0]))


def test_load_transforms_when_named_then_are_made_with_their_options(variables, gradients):
    (scale,) = load_transforms(
        [NamedConfig(name="trainer_module.gradients.Scale", options={"factor": 2.0})]
    )
    np.testing.assert_array_equal(scale(gradients, variables, at(0))[0], gradients[0] * 2.0)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("Scale", {}, r"^train\.gradient_transforms\.1\.name: found 'Scale' .*; allowed: a dotted"),
        ("trainer_module.gradients.Blur", {}, r"^train\.gradient_transforms\.1\.name: .* 'Blur'"),
        (
            "trainer_module.gradients.Scale",
            {"by": 2},
            r"^train\.gradient_transforms\.1\.options: found \{'by': 2\} .*; allowed: arguments of",
        ),
    ],
)
def test_load_transforms_when_there_is_none_such_then_names_its_key(name, options, message):
    first = NamedConfig(name="trainer_module.gradients.Centralization")
    with pytest.raises(ValueError, match=message):
        load_transforms([first, NamedConfig(name=name, options=options)])
