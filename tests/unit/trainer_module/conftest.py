"""Real data for these tests: scikit-learn's digits, raw, transformed, and analyzed by Transform."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip
import tensorflow_transform as tft  # isort: skip
import tensorflow_transform.beam as tft_beam  # isort: skip
import tf_keras as keras  # isort: skip
from tensorflow_transform.tf_metadata import dataset_metadata, schema_utils  # isort: skip

from trainer_module.callbacks import Callback, Values  # isort: skip
from trainer_module.config import TrainConfig  # isort: skip
from trainer_module.data import MemorySplit, Plan, Share, plan_calls  # isort: skip
from trainer_module.engine import Engine, build_engine  # isort: skip
from trainer_module.loop import TrainResult, train  # isort: skip
from trainer_module.strategy import Place  # isort: skip
from trainer_module.tasks.base import Task  # isort: skip
from trainer_module.tasks.digits import Digits, features  # isort: skip

Rows = dict[str, np.ndarray]

RAW_SPEC = {
    "image": tf.io.FixedLenFeature([64], tf.float32),
    "digit": tf.io.FixedLenFeature([1], tf.int64),
}


def _transformed(count: int, first: int) -> Rows:
    """Returns digits as `data.read_examples` would, attributes by the task's own functions."""
    images, classes = load_digits(return_X_y=True)
    image = (images[first : first + count].reshape(-1, 8, 8) / 16.0).astype(np.float32)
    mass, slant = features._stroke_mass(image).numpy(), features._slant(image).numpy()
    attribute = np.stack([(mass - 0.3) / 0.06, slant / 0.2], axis=1).astype(np.float32)
    return {
        features.ATTRIBUTE: attribute,
        features.CLASS: classes[first : first + count].astype(np.int64),
        features.IMAGE: image[..., np.newaxis],
    }


@pytest.fixture(scope="session")
def train_rows() -> Rows:
    """320 transformed digits: ten batches of 32."""
    return _transformed(320, first=0)


@pytest.fixture(scope="session")
def eval_rows() -> Rows:
    """150 other digits: 64 does not divide them."""
    return _transformed(150, first=1000)


@pytest.fixture(scope="session")
def raw_digits() -> list[dict[str, np.ndarray]]:
    """60 raw digits as Transform takes them."""
    images, classes = load_digits(return_X_y=True)
    return [
        {"image": image.astype(np.float32), "digit": np.array([digit])}
        for image, digit in zip(images[:60], classes[:60], strict=True)
    ]


@pytest.fixture(scope="session")
def digit_examples(raw_digits: list[dict[str, np.ndarray]]) -> list[bytes]:
    """The raw digits as serialized tf.Examples, without the label."""
    return [
        tf.train.Example(
            features=tf.train.Features(
                feature={"image": tf.train.Feature(float_list={"value": raw["image"]})}
            )
        ).SerializeToString()
        for raw in raw_digits
    ]


@pytest.fixture(scope="session")
def analyze(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tft.TFTransformOutput]:
    """Analyzes raw rows with a preprocessing_fn as the Transform component would."""

    def run(rows: list[dict], spec: dict, preprocessing_fn: Callable) -> tft.TFTransformOutput:
        folder = tmp_path_factory.mktemp("transform")
        metadata = dataset_metadata.DatasetMetadata(schema_utils.schema_from_feature_spec(spec))
        with tft_beam.Context(temp_dir=str(folder / "temp")):
            transform_fn = (rows, metadata) | tft_beam.AnalyzeDataset(preprocessing_fn)
            _ = transform_fn | tft_beam.WriteTransformFn(str(folder / "output"))
        return tft.TFTransformOutput(str(folder / "output"))

    return run


@pytest.fixture(scope="session")
def digits_transform(analyze: Callable, raw_digits: list) -> tft.TFTransformOutput:
    """Transform's output for the raw digits."""
    return analyze(
        raw_digits, RAW_SPEC, lambda inputs: features.preprocessing_fn(inputs, label="digit")
    )


class Record(Callback):
    """Keeps what the loop says."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, dict[str, float]]] = []
        self.epochs: list[tuple[int, int, dict[str, float], dict[str, float]]] = []
        self.ended: int | None = None

    def on_call_end(self, step: int, values: Values) -> None:
        self.calls.append((step, dict(values)))

    def on_epoch_end(self, epoch: int, step: int, train: Values, evaluation: Values) -> None:
        self.epochs.append((epoch, step, dict(train), dict(evaluation)))

    def on_train_end(self, step: int) -> None:
        self.ended = step


class Dense(Digits):
    """The digits task on a network of one hidden layer, which is the quickest to trace."""

    def build_model(self, feature_spec: Mapping[str, Any]) -> keras.Model:
        layers = keras.layers
        image = keras.Input((8, 8, 1), name="image")
        x = layers.Dense(8, activation="tanh", name="embedding")(layers.Flatten()(image))
        outputs = {
            "class": layers.Dense(10, name="class")(x),
            "attribute": layers.Dense(2, name="attribute")(x),
            "embedding": x,
        }
        return keras.Model({"image": image}, outputs)


@dataclass(frozen=True)
class Trained:
    """A training that ended, and what was said of it."""

    result: TrainResult
    record: Record
    folder: Path

    @property
    def bits(self) -> list[bytes]:
        return [weights.tobytes() for weights in self.result.model.get_weights()]


def small_config(**changes: Any) -> TrainConfig:
    """Two epochs of ten steps of plain gradient descent, the rate constant, nothing clipped."""
    fields: dict[str, Any] = {
        "epochs": 2,
        "batch_size": 32,
        "eval_batch_size": 64,
        "steps_per_call": 4,
        "optimizer": {"name": "sgd", "learning_rate": 0.1, "momentum": 0.0},
        "schedule": {"kind": "constant", "warmup_epochs": 0.0},
        "clip": None,
    }
    return TrainConfig.model_validate(fields | changes)


class SmallEngine(Engine):
    """An engine that a test drives by hand."""

    def take(self, *calls: int, start: int = 0) -> list[dict[str, float]]:
        """Takes calls of so many steps; returns the values of each."""
        self.runner.begin(start, max(calls))
        layout = self.functions.train_layout
        return [layout.read(self.runner.train(n), n) for n in calls]

    @property
    def weights(self) -> list[np.ndarray]:
        return self.state.model.get_weights()


@pytest.fixture(scope="session")
def first_batches(train_rows: Rows) -> list[dict[str, tf.Tensor]]:
    """The first four batches of a small training."""
    calls = plan_calls(0, 4, 10, 1)
    dataset = MemorySplit(train_rows).training(Plan(calls, 1, 32, seed=0), Share())
    return [{name: value[0] for name, value in batch.items()} for batch in dataset]


@pytest.fixture(scope="session")
def gradients_of() -> Callable[..., list[np.ndarray]]:
    """Returns the gradient of the digits' mean losses, weighted, by Keras' own losses."""

    def compute(model: keras.Model, batch: Mapping[str, tf.Tensor]) -> list[np.ndarray]:
        cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        squared_error = keras.losses.MeanSquaredError()
        with tf.GradientTape() as tape:
            outputs = model(batch["image"])
            loss = cross_entropy(batch["class"], outputs["class"])
            loss += 0.5 * squared_error(batch["attribute"], outputs["attribute"])
        found = tape.gradient(loss, model.trainable_variables)
        return [tf.convert_to_tensor(gradient).numpy() for gradient in found]

    return compute


@pytest.fixture(scope="session")
def dense_task() -> type[Digits]:
    return Dense


@pytest.fixture(scope="session")
def build_small(train_rows: Rows, eval_rows: Rows) -> Callable[..., SmallEngine]:
    """Builds the engine of the dense task, or another, on one device."""

    def build(task: Task | None = None, rows: Rows = train_rows, **changes: Any) -> SmallEngine:
        engine = build_engine(
            task or Dense(),
            {},
            MemorySplit(rows),
            MemorySplit(eval_rows),
            small_config(**changes),
            tf.distribute.get_strategy(),
            Place(),
            augment=None,
            initial=None,
        )
        return SmallEngine(engine.state, engine.functions, engine.runner)

    return build


@pytest.fixture(scope="session")
def train_small(
    tmp_path_factory: pytest.TempPathFactory, train_rows: Rows, eval_rows: Rows
) -> Callable[..., Trained]:
    """Trains the dense task, or another, in a folder of its own or in the one given."""

    def run(
        folder: Path | None = None,
        task: Task | None = None,
        rows: Rows = train_rows,
        held_out: Rows = eval_rows,
        callbacks: Sequence[Callback] = (),
        **changes: Any,
    ) -> Trained:
        folder = folder or tmp_path_factory.mktemp("checkpoints")
        record = Record()
        result = train(
            task or Dense(),
            {},
            MemorySplit(rows),
            MemorySplit(held_out),
            small_config(**changes),
            str(folder),
            [record, *callbacks],
        )
        return Trained(result, record, folder)

    return run
