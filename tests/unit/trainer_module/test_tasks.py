"""Tasks by name, the features of digits, losses and metrics, and what a client gets."""

from __future__ import annotations

import numpy as np
import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip

from trainer_module.config import TaskConfig  # isort: skip
from trainer_module.tasks import SHORT_NAMES, load_task_class, losses, make_task  # isort: skip
from trainer_module.tasks.base import float32  # isort: skip
from trainer_module.tasks.breast_cancer import BreastCancer  # isort: skip
from trainer_module.tasks.digits import Digits  # isort: skip
from trainer_module.tasks.digits.features import (  # isort: skip
    _slant,
    _stroke_mass,
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("digits", Digits),
        ("breast_cancer", BreastCancer),
        ("trainer_module.tasks.digits.Digits", Digits),
        ("trainer_module.tasks.digits.task.Digits", Digits),
    ],
)
def test_load_task_class_when_named_short_or_dotted_then_finds_it(name, expected):
    assert load_task_class(name) is expected


def test_short_names_when_loaded_then_all_are_tasks():
    assert {name: load_task_class(name).__name__ for name in SHORT_NAMES} == {
        "digits": "Digits",
        "breast_cancer": "BreastCancer",
        "cifar10": "Cifar10",
        "image": "Image",
        "gan": "Gan",
        "tabular": "Tabular",
    }


@pytest.mark.parametrize("name", ["collections.OrderedDict", "math.pi", "os.path.join"])
def test_load_task_class_when_the_name_is_of_something_else_then_says_what(name):
    with pytest.raises(TypeError, match=rf"{name} is .*, not a subclass of Task"):
        load_task_class(name)


def test_load_task_class_when_the_module_lacks_it_then_names_both():
    with pytest.raises(ImportError, match=r"trainer_module\.tasks\.digits has no 'Letters'"):
        load_task_class("trainer_module.tasks.digits.Letters")


def test_load_task_class_when_the_module_does_not_exist_then_names_it():
    with pytest.raises(ImportError, match="no_such_package"):
        load_task_class("no_such_package.Task")


def test_make_task_when_options_are_given_then_the_task_gets_them():
    task = make_task(TaskConfig(name="digits", options={"attribute_weight": 0.25}))
    assert [head.weight for head in task.heads] == [1.0, 0.25]
    with pytest.raises(TypeError, match="colour"):
        make_task(TaskConfig(name="digits", options={"colour": "blue"}))


def _stroke(*columns: int) -> np.ndarray:
    """An image with one full pixel in each row from the top, at the given columns."""
    image = np.zeros((8, 8), np.float32)
    image[np.arange(len(columns)), columns] = 1.0
    return image


@pytest.mark.parametrize(
    ("image", "slant"),
    [
        pytest.param(_stroke(3, 3, 3, 3, 3, 3, 3, 3), 0.0, id="vertical"),
        pytest.param(_stroke(7, 6, 5, 4, 3, 2, 1, 0), 1.0, id="leaning right"),
        pytest.param(_stroke(0, 1, 2, 3, 4, 5, 6, 7), -1.0, id="leaning left"),
        pytest.param(_stroke(5, 5, 4, 4, 3, 3, 2, 2), 0.5 * 40 / 42, id="half as much"),
        pytest.param(_stroke(7, 6, 5, 4), 1.0, id="in the upper half"),
        pytest.param(np.zeros((8, 8), np.float32), 0.0, id="empty"),
        pytest.param(np.eye(8, dtype=np.float32)[[4]].repeat(1, 0) * np.eye(8)[:, [4]], 0.0,
                     id="one pixel"),
    ],
)  # fmt: skip
def test_slant_when_a_stroke_leans_then_is_columns_to_the_right_for_each_row_up(image, slant):
    found = _slant(tf.constant(image[np.newaxis], tf.float32))
    assert found.shape == (1,)
    np.testing.assert_allclose(found, [slant], atol=1e-5)


def test_slant_when_ink_is_lighter_then_stays_the_same():
    stroke = _stroke(7, 6, 5, 5, 4, 2, 1, 0)
    dark, light = _slant(tf.constant(np.stack([stroke, stroke * 0.25])))
    np.testing.assert_allclose(dark, light, rtol=1e-5)


def test_stroke_mass_when_images_have_ink_then_is_its_mean():
    images = np.stack([np.zeros((8, 8)), np.ones((8, 8)), _stroke(3, 3, 3, 3)])
    found = _stroke_mass(tf.constant(images, tf.float32))
    np.testing.assert_allclose(found, [0.0, 1.0, 4 / 64])


RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(6, 4)).astype(np.float32)
CLASSES = np.array([0, 1, 2, 3, 0, 1])
VALUES = RNG.normal(size=(6, 4)).astype(np.float32)
SIGNS = np.array([0, 1, 1, 0, 1, 0])
LOG_SOFTMAX = LOGITS - np.log(np.exp(LOGITS).sum(axis=1, keepdims=True))
PROBABILITY = 1 / (1 + np.exp(-LOGITS[:, 0]))


@pytest.mark.parametrize(
    ("function", "labels", "predictions", "expected"),
    [
        (losses.softmax_cross_entropy, CLASSES, LOGITS, -LOG_SOFTMAX[np.arange(6), CLASSES]),
        (
            losses.sigmoid_cross_entropy,
            SIGNS,
            LOGITS[:, 0],
            -np.log(np.where(SIGNS == 1, PROBABILITY, 1 - PROBABILITY)),
        ),
        (losses.squared_error, VALUES, LOGITS, np.mean((VALUES - LOGITS) ** 2, axis=1)),
        (losses.absolute_error, VALUES, LOGITS, np.mean(np.abs(VALUES - LOGITS), axis=1)),
        (losses.class_hit, CLASSES, LOGITS, LOGITS.argmax(axis=1) == CLASSES),
        (losses.binary_hit, SIGNS, LOGITS[:, 0], (LOGITS[:, 0] > 0) == SIGNS),
    ],
)
def test_loss_when_computed_then_equals_numpy_for_each_example(
    function, labels, predictions, expected
):
    found = function(tf.constant(labels), tf.constant(predictions))
    assert found.dtype == tf.float32
    assert found.shape == (6,)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("function", [losses.squared_error, losses.absolute_error])
@pytest.mark.parametrize("shape", [(6,), (6, 1), (6, 3, 2)])
def test_error_when_rows_have_any_shape_then_is_one_value_a_row(function, shape):
    labels = RNG.integers(0, 9, size=shape)
    predictions = RNG.normal(size=shape).astype(np.float32)
    errors = np.abs(predictions - labels).reshape(6, -1)
    expected = np.mean(errors**2 if function is losses.squared_error else errors, axis=1)
    found = function(tf.constant(labels), tf.constant(predictions))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("function", [losses.squared_error, losses.absolute_error])
def test_error_when_labels_have_another_shape_than_predictions_then_refuses(function):
    """Broadcast, [6] and [6, 1] would compare every row with every other."""
    with pytest.raises(ValueError, match=r"labels: found \(6,\); allowed: .* \(6, 1\)"):
        function(tf.zeros([6]), tf.zeros([6, 1]))


@pytest.fixture(scope="module")
def digits_outputs() -> dict[str, tf.Tensor]:
    images = tf.constant(RNG.uniform(size=(5, 8, 8, 1)), tf.float32)
    return Digits(filters=4, embedding=8).build_model({})({"image": images})


@pytest.fixture(scope="module")
def tumour_outputs() -> dict[str, tf.Tensor]:
    spec = {"measurements": tf.io.FixedLenFeature([30], tf.float32)}
    measurements = tf.constant(RNG.normal(size=(5, 30)), tf.float32)
    return BreastCancer(units=(8, 4)).build_model(spec)({"measurements": measurements})


def test_digits_model_when_called_then_gives_each_head_and_the_embedding(digits_outputs):
    shapes = {name: tuple(value.shape) for name, value in digits_outputs.items()}
    assert shapes == {"class": (5, 10), "attribute": (5, 2), "embedding": (5, 8)}


def test_breast_cancer_model_when_called_then_gives_each_head_and_the_embedding(tumour_outputs):
    shapes = {name: tuple(value.shape) for name, value in tumour_outputs.items()}
    assert shapes == {"diagnosis": (5,), "embedding": (5, 4)}


def test_task_when_asked_for_losses_then_gives_one_value_a_row_by_head(digits_outputs):
    features = {"class": tf.constant([1, 2, 3, 4, 5], tf.int64), "attribute": tf.zeros([5, 2])}
    found = Digits().losses(digits_outputs, features)
    assert {name: value.shape for name, value in found.items()} == {"class": 5, "attribute": 5}
    expected = np.mean(np.square(digits_outputs["attribute"]), axis=1)
    np.testing.assert_allclose(found["attribute"], expected, rtol=1e-5)


def test_task_when_it_has_one_phase_then_all_heads_weigh_as_they_say_and_are_measured():
    task = Digits(filters=4, embedding=8, attribute_weight=0.25)
    model = task.build_model({})
    (phase,) = task.phases(model)
    assert (phase.losses, phase.repeats, phase.optimizer) == (
        {"class": 1.0, "attribute": 0.25},
        1,
        None,
    )
    assert [v.name for v in phase.variables] == [v.name for v in model.trainable_variables]
    features = {
        "image": tf.constant(RNG.uniform(size=(5, 8, 8, 1)), tf.float32),
        "class": tf.constant([1, 2, 3, 4, 5], tf.int64),
        "attribute": tf.zeros([5, 2]),
    }
    forward = phase.forward({name: features[name] for name in features})
    assert forward.losses.keys() == {"class", "attribute"}
    assert forward.outputs.keys() == {"class", "attribute", "embedding"}


@pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16])
def test_float32_when_outputs_have_16_bits_then_widens_them_alone(dtype):
    found = float32({"half": tf.ones([2], dtype), "id": tf.constant([1], tf.int64)})
    assert {name: value.dtype for name, value in found.items()} == {
        "half": tf.float32,
        "id": tf.int64,
    }


def _described(outputs: dict[str, tf.Tensor]) -> dict[str, tuple]:
    return {name: (tuple(value.shape), value.dtype) for name, value in outputs.items()}


def test_digits_serving_outputs_when_computed_then_have_the_shapes_and_dtypes_promised(
    digits_outputs,
):
    served = Digits().serving_outputs(digits_outputs)
    assert _described(served) == {
        "class_id": ((5,), tf.int64),
        "label": ((5,), tf.string),
        "probabilities": ((5, 10), tf.float32),
        "attribute": ((5, 2), tf.float32),
    }
    np.testing.assert_allclose(np.sum(served["probabilities"], axis=1), 1.0, rtol=1e-5)
    largest = np.argmax(served["probabilities"], axis=1)
    np.testing.assert_array_equal(served["class_id"], largest)
    assert served["label"].numpy().tolist() == [str(digit).encode() for digit in largest]


def test_breast_cancer_serving_outputs_when_computed_then_have_the_shapes_and_dtypes_promised(
    tumour_outputs,
):
    outputs = {**tumour_outputs, "diagnosis": tf.constant([-2.0, -0.1, 0.0, 0.1, 2.0])}
    served = BreastCancer().serving_outputs(outputs)
    assert _described(served) == {
        "class_id": ((5,), tf.int64),
        "label": ((5,), tf.string),
        "probabilities": ((5, 2), tf.float32),
        "score": ((5,), tf.float32),
    }
    assert served["class_id"].numpy().tolist() == [0, 0, 0, 1, 1]
    assert served["label"].numpy().tolist() == [b"malignant"] * 3 + [b"benign"] * 2
    np.testing.assert_allclose(served["score"], 1 / (1 + np.exp([2, 0.1, 0, -0.1, -2])), rtol=1e-5)
    np.testing.assert_allclose(served["probabilities"][:, 1], served["score"])
    np.testing.assert_allclose(np.sum(served["probabilities"], axis=1), 1.0, rtol=1e-6)


def test_breast_cancer_when_asked_by_classify_or_regress_then_says_what_it_serves(tumour_outputs):
    task = BreastCancer()
    served = task.serving_outputs(tumour_outputs)
    found = task.classification(tumour_outputs)
    assert found.classes.numpy().tolist() == [[b"malignant", b"benign"]] * 5
    np.testing.assert_array_equal(found.scores, served["probabilities"])
    np.testing.assert_array_equal(task.regression(tumour_outputs), served["score"])


def test_digits_when_asked_by_classify_or_regress_then_says_its_classes_and_no_value(
    digits_outputs,
):
    task = Digits()
    found = task.classification(digits_outputs)
    assert found.classes.numpy().tolist() == [[str(n).encode() for n in range(10)]] * 5
    np.testing.assert_array_equal(
        found.scores, task.serving_outputs(digits_outputs)["probabilities"]
    )
    assert task.regression(digits_outputs) is None
