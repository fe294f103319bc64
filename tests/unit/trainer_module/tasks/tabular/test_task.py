"""The model's shapes, its answers and signatures, and that the loop learns with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip
import tf_keras as keras  # isort: skip

from trainer_module.callbacks import Callback  # isort: skip
from trainer_module.config import TaskConfig, TrainConfig  # isort: skip
from trainer_module.data import MemorySplit  # isort: skip
from trainer_module.loop import train  # isort: skip
from trainer_module.tasks import make_task  # isort: skip
from trainer_module.tasks.tabular import Tabular  # isort: skip
from trainer_module.tasks.tabular.layout import FIRST, MISSING, PADDING  # isort: skip
from trainer_module.tasks.tabular.model import MeanVector, embedding_length  # isort: skip

COLUMNS: dict[str, Any] = {
    "n": {"kind": "numeric"},
    "c": {"kind": "categorical", "top_k": 4},
    "m": {"kind": "categorical", "top_k": 4, "max_values": 3, "embedding": 5},
}
PROBLEMS: dict[str, dict[str, Any]] = {
    "binary": {"problem": "binary", "classes": ["no", "yes"]},
    "multiclass": {"problem": "multiclass", "classes": [3, 1, 2]},
    "regression": {"problem": "regression"},
}
ROWS = 256


def _task(problem: str, **options: Any) -> Tabular:
    return Tabular(**PROBLEMS[problem], features=COLUMNS, **options)


def test_columns_read_are_those_of_the_features_and_the_label():
    task = _task("binary")
    found = Tabular.columns_read(label="y", **task.transform_options())
    assert found == {"n", "c", "m", "y"}


def _rows(problem: str, seed: int) -> dict[str, np.ndarray]:
    """Transformed rows whose label follows from the number and the category."""
    rng = np.random.default_rng(seed)
    numeric = np.stack([rng.normal(size=ROWS), np.zeros(ROWS)], axis=1).astype(np.float32)
    category = rng.integers(FIRST, FIRST + 5, (ROWS, 1))
    several = rng.integers(FIRST, FIRST + 5, (ROWS, 3))
    several[::2, 1:], several[::4, 0] = PADDING, MISSING
    truth = numeric[:, 0] + category[:, 0] - (FIRST + 2)
    rows = {"numeric": numeric, "c": category, "m": several}
    if problem == "regression":
        label = (5e5 + 1e5 * truth).astype(np.float32)
        scale = np.float32([label.mean(), label.std()])
        return {**rows, "label": label, "label_scale": np.tile(scale, (ROWS, 1))}
    classes = np.digitize(truth, [0.0] if problem == "binary" else [-1.0, 1.0])
    return {**rows, "label": classes.astype(np.int64)}


def _spec(rows: dict[str, np.ndarray]) -> dict[str, tf.io.FixedLenFeature]:
    return {
        name: tf.io.FixedLenFeature(values.shape[1:], tf.as_dtype(values.dtype))
        for name, values in rows.items()
    }


@pytest.fixture(scope="module", params=sorted(PROBLEMS))
def problem(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def model(problem) -> keras.Model:
    return _task(problem).build_model(_spec(_rows(problem, 0)))


@pytest.fixture(scope="module")
def outputs(problem, model) -> dict[str, tf.Tensor]:
    rows = _rows(problem, 0)
    return model({name: rows[name] for name in model.input})


def test_model_when_called_then_gives_the_head_and_the_embedding(problem, outputs):
    shapes = {name: tuple(value.shape) for name, value in outputs.items()}
    head = (ROWS, 3) if problem == "multiclass" else (ROWS,)
    assert shapes == {"label": head, "embedding": (ROWS, 32)}


def test_model_when_built_then_reads_all_but_the_label(problem, model):
    scale = {"label_scale"} if problem == "regression" else set()
    assert set(model.input) == {"numeric", "c", "m"} | scale


def test_model_when_there_are_ids_alone_then_needs_no_numbers():
    task = Tabular(**PROBLEMS["binary"], features={"c": COLUMNS["c"]})
    model = task.build_model({"c": tf.io.FixedLenFeature([1], tf.int64)})
    assert model({"c": tf.constant([[MISSING]], tf.int64)})["label"].shape == (1,)


def test_model_when_there_are_numbers_alone_then_needs_no_ids():
    task = Tabular(**PROBLEMS["binary"], features={"n": COLUMNS["n"]}, hidden=[3], dropout=0.0)
    model = task.build_model({"numeric": tf.io.FixedLenFeature([2], tf.float32)})
    assert model({"numeric": tf.zeros([4, 2])})["embedding"].shape == (4, 3)


@pytest.mark.parametrize(("ids", "length"), [(3, 3), (7, 5), (52, 15), (1003, 16)])
def test_embedding_length_when_ids_are_more_then_grows_to_sixteen(ids, length):
    assert embedding_length(ids) == length


def test_mean_vector_when_ids_are_padded_then_is_the_mean_of_the_others():
    layer = MeanVector(5, 2, name="vectors")
    layer(tf.constant([[0]], tf.int64))
    vectors = np.arange(10, dtype=np.float32).reshape(5, 2)
    layer.set_weights([vectors])
    found = layer(tf.constant([[2, 4, PADDING], [MISSING, PADDING, PADDING]], tf.int64))
    np.testing.assert_array_equal(found, [(vectors[2] + vectors[4]) / 2, vectors[MISSING]])


def test_serving_outputs_when_computed_then_are_those_promised(problem, outputs):
    served = {
        name: (value.dtype, tuple(value.shape[1:]))
        for name, value in _task(problem).serving_outputs(outputs).items()
    }
    classes = {"class_id": (tf.int64, ()), "label": (tf.string, ())}
    assert (
        served
        == {
            "binary": {**classes, "probabilities": (tf.float32, (2,)), "score": (tf.float32, ())},
            "multiclass": {**classes, "probabilities": (tf.float32, (3,))},
            "regression": {"prediction": (tf.float32, ())},
        }[problem]
    )


def test_serving_outputs_when_the_label_is_named_then_it_is_that_of_the_class():
    served = _task("multiclass").serving_outputs({"label": tf.constant([[0.0, 2.0, 1.0]])})
    assert (served["class_id"].numpy().tolist(), served["label"].numpy().tolist()) == ([1], [b"1"])
    served = _task("binary").serving_outputs({"label": tf.constant([3.0, -3.0])})
    assert served["label"].numpy().tolist() == [b"yes", b"no"]
    np.testing.assert_allclose(served["probabilities"][:, 1], served["score"])


def test_classify_and_regress_when_asked_then_say_what_is_served(problem, outputs):
    task = _task(problem)
    served, found = task.serving_outputs(outputs), task.classification(outputs)
    if problem == "regression":
        assert found is None
        np.testing.assert_array_equal(task.regression(outputs), served["prediction"])
        return
    assert found.classes[0].numpy().tolist() == [name.encode() for name in task.class_names]
    np.testing.assert_array_equal(found.scores, served["probabilities"])
    if problem == "binary":
        np.testing.assert_array_equal(task.regression(outputs), served["score"])
    else:
        assert task.regression(outputs) is None


def test_regression_when_untrained_then_answers_about_the_mean_with_a_loss_about_one():
    rows, task = _rows("regression", 0), _task("regression")
    model = task.build_model(_spec(rows))
    model.get_layer("label").set_weights([np.zeros((32, 1)), np.zeros(1)])
    outputs = model({name: rows[name] for name in model.input})
    np.testing.assert_allclose(outputs["label"], rows["label"].mean(), rtol=1e-5)
    features = {name: tf.constant(values) for name, values in rows.items()}
    loss = task.losses(outputs, features)["label"]
    np.testing.assert_allclose(np.mean(loss), 1.0, rtol=1e-3)


def test_regression_when_the_label_is_constant_then_its_loss_is_0():
    ones = {"label": tf.ones(2)}
    features = {**ones, "label_scale": tf.constant([[1.0, 0.0]] * 2)}
    assert _task("regression").losses(ones, features)["label"].numpy().tolist() == [0, 0]


class _Losses(Callback):
    def __init__(self) -> None:
        self.found: list[dict[str, float]] = []

    def on_epoch_end(self, epoch: int, step: int, train: Any, evaluation: Any) -> None:
        self.found.append(dict(evaluation))


def _trained(problem: str, folder: Path, **changes: Any) -> tuple[Any, list[dict[str, float]]]:
    rows, record = _rows(problem, 1), _Losses()
    config = {
        "epochs": 4,
        "batch_size": 32,
        "eval_batch_size": 64,
        "optimizer": {"name": "adam", "learning_rate": 0.01},
        "schedule": {"kind": "constant", "warmup_epochs": 0.0},
        **changes,
    }
    result = train(
        _task(problem, hidden=[16]),
        _spec(rows),
        MemorySplit(rows),
        MemorySplit(_rows(problem, 2)),
        TrainConfig.model_validate(config),
        str(folder),
        [record],
    )
    return result.model, record.found


def test_train_when_the_loop_runs_then_learns(problem, tmp_path):
    _, found = _trained(problem, tmp_path)
    assert found[-1]["loss"] < 0.8 * found[0]["loss"]
    if problem == "regression":
        assert found[-1]["label/mae"] < 8e4, "a deviation is 1.7e5"
    else:
        assert found[-1]["label/accuracy"] > 0.75


def test_train_when_a_class_weighs_nothing_then_the_other_is_always_said(tmp_path):
    model, _ = _trained("binary", tmp_path, class_weights={"label": {0: 0.0}})
    rows = _rows("binary", 2)
    outputs = model({name: rows[name] for name in model.input})
    assert np.mean(outputs["label"].numpy() > 0) > 0.95


def test_task_when_made_from_a_configuration_then_is_found_by_its_short_name():
    options = {**PROBLEMS["binary"], "features": COLUMNS}
    task = make_task(TaskConfig(name="tabular", options=options))
    assert isinstance(task, Tabular)
    assert task.class_names == ("no", "yes")
