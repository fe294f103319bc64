"""What a training minimizes and measures, in numbers; and the names that it refuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip
import tf_keras as keras  # isort: skip

from trainer_module.config import TrainConfig  # isort: skip
from trainer_module.metrics import counted, mean  # isort: skip
from trainer_module.objective import Layout, Objective, check_names  # isort: skip
from trainer_module.tasks import losses  # isort: skip
from trainer_module.tasks.base import Forward, Head, Phase, Task  # isort: skip

ROWS = 6
RNG = np.random.default_rng(0)
FEATURES = {
    "label": np.array([0, 1, 2, 0, 1, 2]),
    "size": RNG.normal(size=(ROWS, 2)).astype(np.float32),
    "trust": np.array([[1.0], [0.5], [2.0], [0.0], [1.0], [3.0]], np.float32),
}
OUTPUTS = {
    "kind": RNG.normal(size=(ROWS, 3)).astype(np.float32),
    "size": RNG.normal(size=(ROWS, 2)).astype(np.float32),
}
PROBABILITY = np.exp(OUTPUTS["kind"]) / np.exp(OUTPUTS["kind"]).sum(axis=1, keepdims=True)
KIND = -np.log(PROBABILITY[np.arange(ROWS), FEATURES["label"]])
SIZE = np.mean((FEATURES["size"] - OUTPUTS["size"]) ** 2, axis=1)
ABSOLUTE = np.mean(np.abs(FEATURES["size"] - OUTPUTS["size"]), axis=1)
HITS = OUTPUTS["kind"].argmax(axis=1) == FEATURES["label"]


def largest_error(labels: tf.Tensor, predictions: tf.Tensor) -> tf.Tensor:
    """A loss of a user's own."""
    return tf.reduce_max(tf.abs(labels - predictions), axis=-1)


class Two(Task):
    """A head of three classes, and one of two numbers, which weighs 0.5."""

    heads: Sequence[Head] = (
        Head(
            "kind", "label", losses.softmax_cross_entropy, "kind", metrics={"hit": losses.class_hit}
        ),
        Head("size", "size", losses.squared_error, "size", weight=0.5),
    )

    def build_model(self, feature_spec: Mapping[str, Any]) -> keras.Model:
        raise NotImplementedError

    def serving_outputs(self, outputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return dict(outputs)


def tensors(arrays: Mapping[str, np.ndarray]) -> dict[str, tf.Tensor]:
    return {name: tf.constant(values) for name, values in arrays.items()}


def objective(**config: Any) -> Objective:
    fields = {"epochs": 1, "batch_size": ROWS, **config}
    return Objective(Two(), TrainConfig.model_validate(fields), tensors(OUTPUTS), FEATURES)


def phase(variables: Sequence[tf.Variable] = ()) -> Phase:
    return Phase("main", variables, {"kind": 1.0, "size": 0.5}, lambda _features: Forward({}))


def forward(penalties: Sequence[tf.Tensor] = ()) -> Forward:
    outputs = tensors(OUTPUTS)
    return Forward(Two().losses(outputs, tensors(FEATURES)), outputs, penalties)


def minimized(
    made: Objective, variables: Sequence[tf.Variable] = (), parts: int = 1, **options: Any
) -> tuple[float, np.ndarray, np.ndarray]:
    loss, sums, measured = made.minimize(
        phase(variables), forward(**options), tensors(FEATURES), ROWS, parts
    )
    return float(loss), sums.numpy(), measured.numpy()


def evaluated(made: Objective, weight: Sequence[float] = (1.0,) * ROWS) -> dict[str, float]:
    weights = tf.constant(weight, tf.float32)
    vector = made.evaluate(tensors(OUTPUTS), tensors(FEATURES), weights)
    return made.evaluation_layout().read(vector.numpy().astype(np.float64))


def test_minimize_when_nothing_is_configured_then_is_the_weighted_sum_of_the_heads():
    loss, sums, measured = minimized(objective())
    np.testing.assert_allclose(loss, np.mean(KIND) + 0.5 * np.mean(SIZE), rtol=1e-5)
    np.testing.assert_allclose(sums, [KIND.sum(), SIZE.sum()], rtol=1e-5)
    np.testing.assert_array_equal(measured, [HITS.sum()])


def test_minimize_when_a_pass_is_not_measured_then_has_no_metrics():
    passed = Forward(forward().losses)
    _, _, measured = objective().minimize(phase(), passed, tensors(FEATURES), ROWS, 1)
    assert measured.shape == (0,)


def test_minimize_when_a_loss_is_named_then_takes_the_place_of_the_tasks():
    loss, sums, _ = minimized(objective(losses={"size": "absolute_error"}))
    np.testing.assert_allclose(sums, [KIND.sum(), ABSOLUTE.sum()], rtol=1e-5)
    np.testing.assert_allclose(loss, np.mean(KIND) + 0.5 * np.mean(ABSOLUTE), rtol=1e-5)
    found = evaluated(objective(losses={"size": "absolute_error"}))
    np.testing.assert_allclose(found["loss/size"], np.mean(ABSOLUTE), rtol=1e-5)


def test_minimize_when_a_loss_is_a_dotted_path_then_is_called(monkeypatch):
    monkeypatch.setattr(losses, "largest_error", largest_error, raising=False)
    path = "trainer_module.tasks.losses.largest_error"
    _, sums, _ = minimized(objective(losses={"size": path}))
    expected = np.abs(FEATURES["size"] - OUTPUTS["size"]).max(axis=1).sum()
    np.testing.assert_allclose(sums[1], expected, rtol=1e-5)


def test_class_weights_when_given_then_weigh_rows_of_that_head_in_training_alone():
    made = objective(class_weights={"kind": {0: 3.0, 2: 0.5}})
    weight = np.array([3.0, 1.0, 0.5])[FEATURES["label"]]
    loss, sums, measured = minimized(made)
    np.testing.assert_allclose(sums, [(KIND * weight).sum(), SIZE.sum()], rtol=1e-5)
    np.testing.assert_allclose(loss, np.mean(KIND * weight) + 0.5 * np.mean(SIZE), rtol=1e-5)
    np.testing.assert_array_equal(measured, [HITS.sum()])
    np.testing.assert_allclose(evaluated(made)["loss/kind"], np.mean(KIND), rtol=1e-5)


def test_example_weight_when_given_then_weighs_the_losses_of_each_row_and_no_metric():
    made = objective(example_weight="trust")
    trust = FEATURES["trust"][:, 0]
    loss, sums, measured = minimized(made)
    np.testing.assert_allclose(sums, [(KIND * trust).sum(), (SIZE * trust).sum()], rtol=1e-5)
    np.testing.assert_array_equal(measured, [HITS.sum()])
    found = evaluated(made)
    np.testing.assert_allclose(found["loss"], loss, rtol=1e-5)
    np.testing.assert_allclose(found["kind/hit"], np.mean(HITS), rtol=1e-6)


def test_example_and_class_weights_when_both_are_given_then_multiply():
    made = objective(example_weight="trust", class_weights={"kind": {1: 4.0}})
    weight = FEATURES["trust"][:, 0] * np.array([1.0, 4.0, 1.0])[FEATURES["label"]]
    np.testing.assert_allclose(minimized(made)[1][0], (KIND * weight).sum(), rtol=1e-5)


@pytest.mark.parametrize("parts", [1, 4])
def test_regularization_when_a_pattern_fits_then_adds_its_share_of_the_penalties(parts):
    """Each of the parts of a batch adds its own: together they make up one penalty."""
    kernel = tf.Variable([[1.0, -2.0], [0.5, 0.0]], name="dense/kernel")
    other = tf.Variable([3.0, -1.0], name="out/kernel")
    bias = tf.Variable([100.0], name="dense/bias")
    made = objective(
        regularization=[
            {"pattern": "kernel$", "l2": 0.1},
            {"pattern": "^dense/kernel$", "l1": 0.2},
        ]
    )
    penalty = 0.1 * (1 + 4 + 0.25) + 0.1 * (9 + 1) + 0.2 * 3.5
    loss = minimized(made, [kernel, bias, other], parts)[0]
    np.testing.assert_allclose(loss, minimized(objective())[0] + penalty / parts, rtol=1e-5)


@pytest.mark.parametrize("parts", [1, 4])
def test_penalties_when_the_model_has_its_own_then_each_part_adds_its_share(parts):
    penalties = [tf.constant(2.0), tf.constant(0.5, tf.float16)]
    loss = minimized(objective(), parts=parts, penalties=penalties)[0]
    np.testing.assert_allclose(loss, minimized(objective())[0] + 2.5 / parts, rtol=1e-5)


def test_evaluate_when_rows_weigh_nothing_then_leaves_them_out():
    found = evaluated(objective(), [1.0, 1.0, 0.0, 1.0, 0.0, 0.0])
    kept = [0, 1, 3]
    expected = np.mean(KIND[kept]) + 0.5 * np.mean(SIZE[kept])
    np.testing.assert_allclose(found["loss"], expected, rtol=1e-5)
    np.testing.assert_allclose(found["kind/hit"], np.mean(HITS[kept]), rtol=1e-6)


def test_metrics_when_configured_then_come_besides_the_tasks_own():
    made = objective(metrics={"kind": ["top_2", "f1"], "size": ["mae"]})
    found = evaluated(made)
    assert list(found) == [
        *("loss", "loss/kind", "loss/size"),
        *("kind/hit", "kind/top_2", "kind/f1", "size/mae"),
    ]
    np.testing.assert_allclose(found["size/mae"], np.mean(ABSOLUTE), rtol=1e-5)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"losses": {"sort": "squared_error"}}, "train.losses: found 'sort'; allowed: kind, size"),
        ({"metrics": {"sort": ["mae"]}}, "train.metrics: found 'sort'; allowed: kind, size"),
        (
            {"class_weights": {"sort": {0: 1.0}}},
            "train.class_weights: found 'sort'; allowed: kind, size",
        ),
        (
            {"class_weights": {"size": {0: 1.0}}},
            "train.class_weights.size: found weights; allowed: on a head of classes, which this "
            "is not",
        ),
        (
            {"class_weights": {"kind": {0: 1.0, 3: 2.0}}},
            "train.class_weights.kind: found class 3; allowed: 0 to 2",
        ),
        (
            {"example_weight": "truth"},
            "train.example_weight: found 'truth'; allowed: transformed features, label, size, "
            "trust",
        ),
        (
            {"losses": {"size": "hinge"}},
            "train.losses.size: found 'hinge'; allowed: softmax_cross_entropy, "
            "sigmoid_cross_entropy, squared_error, absolute_error, or a dotted path",
        ),
        (
            {"losses": {"size": "trainer_module.tasks.losses.hinge"}},
            "train.losses.size: found 'trainer_module.tasks.losses.hinge' (module "
            "'trainer_module.tasks.losses' has no attribute 'hinge'); allowed: a dotted path",
        ),
        (
            {"metrics": {"kind": ["auc"]}},
            "train.metrics.kind: found 'auc'; allowed: accuracy, precision, recall, f1, top_K, "
            "for several classes",
        ),
    ],
)
def test_objective_when_a_name_is_not_there_then_names_its_key_and_what_is(config, message):
    with pytest.raises(ValueError) as caught:
        objective(**config)
    assert str(caught.value) == message


@pytest.mark.parametrize("name", ["gradient", "weight", "update", "weight/total"])
def test_check_names_when_a_head_would_pass_for_a_norm_then_refuses_its_name(name):
    heads = [Head("weights", "label", None, "weights"), Head(name, "label", None, name)]
    message = f"^task: found a head named '{name}'; allowed: any name but gradient, weight"
    with pytest.raises(ValueError, match=message):
        check_names(TrainConfig(epochs=1, batch_size=ROWS), heads)


@pytest.mark.parametrize("values", [tf.ones([ROWS, 1]), tf.constant(1.0)], ids=["[b, 1]", "[]"])
def test_minimize_when_a_loss_is_not_one_value_a_row_then_names_it_and_its_shape(values):
    passed = Forward({**forward().losses, "kind": values})
    with pytest.raises(ValueError) as caught:
        objective().minimize(phase(), passed, tensors(FEATURES), ROWS, 1)
    assert str(caught.value) == f"task loss 'kind': found {values.shape}; expected [b]"


def test_minimize_when_a_phase_lacks_one_of_its_losses_then_names_it():
    passed = Forward({"kind": tf.ones([ROWS]), "other": tf.ones([ROWS])})
    message = r"phase 'main': found losses \['kind', 'other'\]; \['size'\] missing"
    with pytest.raises(ValueError, match=message):
        objective().minimize(phase(), passed, tensors(FEATURES), ROWS, 1)


def test_layout_when_it_reads_sums_over_steps_then_means_each_value_over_what_it_counts():
    """Two steps of 4 rows: losses and metrics over the rows, the loss and extras over steps."""
    layout = Layout(
        ["a", "b"],
        {"a/hit": mean(losses.class_hit), "b/share": counted(None, lambda c: c[:, 0] / c[:, 1])},
        ["rate"],
    )
    assert layout.names == ["loss", "loss/a", "loss/b", "a/hit", "b/share", "rate"]
    vector = np.array([6.0, 4.0, 2.0, 5.0, 1.0, 2.0, 3.0, 8.0, 0.2])
    assert layout.size == len(vector)
    assert layout.read(vector, steps=2) == {
        "loss": 3.0,
        "loss/a": 0.5,
        "loss/b": 0.25,
        "a/hit": 0.625,
        "b/share": 0.5,
        "rate": 0.1,
    }


def test_layout_when_it_reads_sums_over_rows_then_the_loss_is_over_rows_too():
    layout = Layout(["a"], {})
    assert layout.read(np.array([6.0, 4.0, 8.0])) == {"loss": 0.75, "loss/a": 0.5}
