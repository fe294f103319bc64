"""Each rule against Keras' optimizer, step by step; decay, groups and frozen variables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip
import tf_keras as keras  # isort: skip

from trainer_module.config import (  # isort: skip
    GroupConfig,
    OptimizerConfig,
    RegularizationConfig,
)
from trainer_module.optimizers import Optimizer, check_patterns, split_frozen  # isort: skip
from trainer_module.packing import LARGE  # isort: skip

SHAPES = {"dense/kernel": [6, 4], "dense/bias": [4], "norm/gamma": [4], "wide/kernel": [LARGE]}
"""Small variables, which are updated together, and one that has a kernel of its own."""

RATE = 0.01
NEAR = 1e-6


def make_variables() -> list[tf.Variable]:
    rng = np.random.default_rng(0)
    return [
        tf.Variable(rng.normal(size=shape).astype(np.float32), name=name)
        for name, shape in SHAPES.items()
    ]


def make_gradients(steps: int) -> list[list[tf.Tensor]]:
    rng = np.random.default_rng(1)
    return [
        [tf.constant(rng.normal(size=shape), tf.float32) for shape in SHAPES.values()]
        for _ in range(steps)
    ]


def assert_near(found: Sequence[tf.Variable], expected: Sequence[Any], at: object = "") -> None:
    for variable, value in zip(found, expected, strict=True):
        np.testing.assert_allclose(
            variable, value, rtol=NEAR, atol=NEAR, err_msg=f"{variable.name} {at}"
        )


SGD, RMSPROP = keras.optimizers.SGD, keras.optimizers.RMSprop
RULES = [
    ({"name": "sgd", "momentum": 0.0}, SGD(RATE)),
    ({"name": "sgd"}, SGD(RATE, momentum=0.9)),
    (
        {"name": "sgd", "momentum": 0.8, "nesterov": True},
        SGD(RATE, momentum=0.8, nesterov=True),
    ),
    ({"name": "sgd", "weight_decay": 0.02}, SGD(RATE, momentum=0.9, weight_decay=0.02)),
    ({"name": "adam"}, keras.optimizers.Adam(RATE)),
    (
        {"name": "adam", "beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-4},
        keras.optimizers.Adam(RATE, beta_1=0.8, beta_2=0.95, epsilon=1e-4),
    ),
    ({"name": "adamw"}, keras.optimizers.AdamW(RATE, weight_decay=1e-4)),
    ({"name": "adamw", "weight_decay": 0.3}, keras.optimizers.AdamW(RATE, weight_decay=0.3)),
    ({"name": "rmsprop"}, RMSPROP(RATE)),
    ({"name": "rmsprop", "rho": 0.7, "epsilon": 1e-3}, RMSPROP(RATE, rho=0.7, epsilon=1e-3)),
    ({"name": "rmsprop", "weight_decay": 0.05}, RMSPROP(RATE, weight_decay=0.05)),
]


@pytest.mark.parametrize(("config", "reference"), RULES, ids=[str(config) for config, _ in RULES])
def test_rule_when_20_steps_are_taken_then_each_is_that_of_keras(config, reference):
    ours, theirs = make_variables(), make_variables()
    if reference.weight_decay:
        reference.exclude_from_weight_decay(var_names=["bias", "gamma"])
    reference.build(theirs)
    optimizer = Optimizer(OptimizerConfig(**config), ours)
    apply = tf.function(lambda g: optimizer.apply(g, tf.constant(RATE)), autograph=False)
    for step, gradients in enumerate(make_gradients(20)):
        apply(gradients)
        reference.apply_gradients(zip(gradients, theirs, strict=True))
        assert_near(ours, theirs, f"at step {step}")


def test_rmsprop_when_it_has_momentum_then_follows_its_formula():
    """Keras puts epsilon elsewhere there; the formula is TensorFlow's, in numpy."""
    variables = make_variables()
    expected = [variable.numpy().astype(np.float64) for variable in variables]
    squares = [np.zeros_like(value) for value in expected]
    moments = [np.zeros_like(value) for value in expected]
    config = OptimizerConfig(name="rmsprop", rho=0.8, momentum=0.5, epsilon=1e-2)
    optimizer = Optimizer(config, variables)
    for gradients in make_gradients(20):
        optimizer.apply(gradients, tf.constant(RATE))
        for index, gradient in enumerate(np.asarray(g, np.float64) for g in gradients):
            squares[index] = 0.8 * squares[index] + 0.2 * gradient**2
            moments[index] = 0.5 * moments[index] + RATE * gradient / np.sqrt(squares[index] + 1e-2)
            expected[index] -= moments[index]
    assert_near(variables, expected)


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "rmsprop"])
def test_decay_when_the_gradient_is_zero_then_shrinks_kernels_by_rate_times_decay(name):
    variables = make_variables()
    before = [variable.numpy() for variable in variables]
    optimizer = Optimizer(OptimizerConfig(name=name, weight_decay=0.5), variables)
    optimizer.apply([tf.zeros_like(variable) for variable in variables], tf.constant(0.1))
    for variable, old in zip(variables, before, strict=True):
        if "kernel" in variable.name:
            np.testing.assert_allclose(variable, old * (1 - 0.1 * 0.5), rtol=1e-6)
        else:
            np.testing.assert_array_equal(variable, old)


def test_group_when_it_has_a_rate_and_a_decay_then_they_hold_for_its_variables_alone():
    variables = make_variables()
    expected = [variable.numpy() for variable in variables]
    velocities = [np.zeros_like(value) for value in expected]
    groups = [
        GroupConfig(pattern="^dense/", learning_rate_factor=0.25, weight_decay=0.4),
        GroupConfig(pattern="kernel", learning_rate_factor=2.0),
    ]
    config = OptimizerConfig(name="sgd", weight_decay=0.1, groups=groups)
    optimizer = Optimizer(config, variables)
    rates = [RATE * factor for factor in (0.25, 0.25, 1.0, 2.0)]
    decays = (0.4, 0.4, 0.0, 0.1)
    for gradients in make_gradients(5):
        optimizer.apply(gradients, tf.constant(RATE))
        for index, (rate, decay) in enumerate(zip(rates, decays, strict=True)):
            velocities[index] = 0.9 * velocities[index] - rate * gradients[index].numpy()
            expected[index] = expected[index] * (1 - rate * decay) + velocities[index]
    assert_near(variables, expected)


def test_group_when_two_fit_then_the_first_has_the_say():
    variables = make_variables()
    before = variables[0].numpy()
    groups = [
        GroupConfig(pattern="dense", learning_rate_factor=0.0),
        GroupConfig(pattern="kernel", learning_rate_factor=9.0),
    ]
    optimizer = Optimizer(OptimizerConfig(name="sgd", groups=groups), variables)
    optimizer.apply(make_gradients(1)[0], tf.constant(RATE))
    np.testing.assert_array_equal(variables[0], before)


def test_split_frozen_when_a_group_is_frozen_then_leaves_its_variables_out():
    variables = make_variables()
    groups = [GroupConfig(pattern="^norm", frozen=True), GroupConfig(pattern="dense")]
    free = split_frozen(groups, variables)
    assert [variable.name for variable in free] == [
        "dense/kernel:0",
        "dense/bias:0",
        "wide/kernel:0",
    ]


def test_split_frozen_when_everything_is_frozen_then_refuses():
    with pytest.raises(ValueError, match=r"groups: found every variable frozen; allowed: some"):
        split_frozen([GroupConfig(pattern="/", frozen=True)], make_variables())


@pytest.mark.parametrize("section", [GroupConfig, RegularizationConfig])
def test_check_patterns_when_one_fits_no_variable_then_names_its_key_and_those_there_are(section):
    sections = [section(pattern="kernel$"), section(pattern="kernels")]
    with pytest.raises(ValueError) as caught:
        check_patterns("train.optimizer.groups", sections, make_variables())
    assert str(caught.value) == (
        "train.optimizer.groups.1.pattern: found 'kernels', which fits no variable; allowed: a "
        "pattern found in one of dense/kernel, dense/bias, norm/gamma, wide/kernel"
    )


def test_optimizer_when_restored_then_goes_on_with_the_same_bits(tmp_path):
    gradients = make_gradients(6)

    def start() -> tuple[list[tf.Variable], Optimizer, tf.train.Checkpoint]:
        variables = make_variables()
        optimizer = Optimizer(OptimizerConfig(name="adamw"), variables)
        return variables, optimizer, tf.train.Checkpoint(optimizer=optimizer, variables=variables)

    variables, optimizer, checkpoint = start()
    for step in gradients[:3]:
        optimizer.apply(step, tf.constant(RATE))
    path = checkpoint.write(str(tmp_path / "half"))
    resumed_variables, resumed, checkpoint = start()
    checkpoint.read(path).assert_existing_objects_matched()
    for step in gradients[3:]:
        optimizer.apply(step, tf.constant(RATE))
        resumed.apply(step, tf.constant(RATE))
    assert int(resumed.updates) == 6
    for ours, theirs in zip(resumed_variables, variables, strict=True):
        assert ours.numpy().tobytes() == theirs.numpy().tobytes()


def test_adam_when_workers_update_side_by_side_then_no_weight_moves_by_more_than_it_ever_can():
    workers, steps, size = 8, 500, 10_000
    variable = tf.Variable(tf.zeros([size]), name="dense/kernel")
    optimizer = Optimizer(OptimizerConfig(name="adam"), [variable])
    # As from inputs that are mostly zero: in most steps a weight has no gradient.
    rng = np.random.default_rng(0)
    sparse = [(rng.random([50, size]) < 0.001).astype(np.float32) for _ in range(workers)]

    @tf.function
    def work(gradients: tf.Tensor) -> None:
        for index in tf.range(steps):
            optimizer.apply([gradients[index % 50]], tf.constant(RATE))

    work.get_concrete_function(tf.TensorSpec([50, size], tf.float32))
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(work, [tf.constant(gradients) for gradients in sparse]))
    # |m| / sqrt(v) is at most (1 - b1) / sqrt((1 - b2) (1 - b1^2 / b2)), by Cauchy and Schwarz.
    most = 0.1 / math.sqrt(0.001 * (1 - 0.81 / 0.999))
    assert np.abs(variable).max() < workers * steps * RATE * most


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "rmsprop"])
def test_rule_when_a_variable_is_large_then_its_kernel_locks_what_it_changes(name):
    variable = tf.Variable(tf.zeros([LARGE]), name="dense/kernel")
    optimizer = Optimizer(OptimizerConfig(name=name), [variable])
    apply = tf.function(lambda gradient: optimizer.apply([gradient], tf.constant(RATE)))
    graph = apply.get_concrete_function(tf.TensorSpec([LARGE], tf.float32)).graph
    kernels = [op for op in graph.get_operations() if op.type.startswith("ResourceApply")]
    assert [kernel.get_attr("use_locking") for kernel in kernels] == [True]
