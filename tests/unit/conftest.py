"""What the tests of more than one package share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def write_serving_root() -> Callable[..., Path]:
    """Writes a serving directory as a push leaves it, the model's version an empty folder."""

    def write(root: Path, name: str = "digits", version: int = 3) -> Path:
        from serving.config import BatchingConfig
        from serving.text_configs import batching_text, models_text

        (root / name / str(version)).mkdir(parents=True)
        (root / "models.config").write_text(models_text("", name, str(root / name)))
        (root / "batching.config").write_text(batching_text(BatchingConfig()))
        (root / "monitoring.config").write_text("prometheus_config { enable: true }\n")
        return root

    return write


@pytest.fixture(scope="session")
def write_program() -> Callable[[Path, str], Path]:
    """Writes a shell script that can be executed."""

    def write(path: Path, script: str) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return path

    return write


@dataclass(frozen=True)
class LiteSource:
    """What TF Lite variants are made of.

    Attributes:
        folder: of the SavedModel.
        examples: folder with `Split-train` and `Split-test`, TFRecords of raw examples.
        test_examples: the serialized ones of the second.
    """

    folder: Path
    examples: Path
    test_examples: list[bytes]


@pytest.fixture(scope="session")
def lite_source(tmp_path_factory) -> LiteSource:
    """A classifier of small pictures, as a pipeline exports it, with its raw examples.

    It tells its classes apart well, and a hidden layer has most of its weights.
    """
    import numpy as np
    import tensorflow as tf

    side, classes, hidden = 8, 4, 64
    random = np.random.default_rng(0)
    templates = random.uniform(0, 12, (classes, side * side))

    def draw(rows):
        labels = random.integers(0, classes, rows)
        pixels = np.clip(templates[labels] + random.normal(0, 2, (rows, side * side)), 0, 16)
        return pixels.astype(np.float32), labels

    def serialized(pixels, label):
        example = tf.train.Example()
        example.features.feature["image"].float_list.value.extend(pixels.tolist())
        example.features.feature["kind"].int64_list.value.append(int(label))
        return example.SerializeToString(deterministic=True)

    class Classifier(tf.Module):
        """A convolution, a hidden layer, and a linear one fitted by least squares."""

        def __init__(self):
            kernel = random.normal(0, 0.4, (3, 3, 1, 16)).astype(np.float32)
            weights = random.normal(0, 0.05, (side * side * 16, hidden)).astype(np.float32)
            self.kernel, self.weights = tf.Variable(kernel), tf.Variable(weights)
            pixels, labels = draw(400)
            embedding = self._embed(tf.reshape(pixels, [-1, side, side, 1]) / 16.0).numpy()
            fitted = np.linalg.lstsq(embedding, 8 * np.eye(classes)[labels], rcond=None)[0]
            self.head = tf.Variable(fitted.astype(np.float32))

        def _embed(self, image):
            x = tf.nn.relu(tf.nn.conv2d(image, self.kernel, 1, "SAME"))
            return tf.nn.relu(tf.matmul(tf.reshape(x, [-1, side * side * 16]), self.weights))

        def _answers(self, image):
            logits = tf.matmul(self._embed(image), self.head)
            return {
                "class_id": tf.argmax(logits, axis=1),
                "probabilities": tf.nn.softmax(logits),
                "ink": tf.reduce_mean(image, axis=[1, 2]),
            }

        def _features(self, examples):
            spec = {
                "image": tf.io.FixedLenFeature([side * side], tf.float32),
                "kind": tf.io.FixedLenFeature([1], tf.int64, [-1]),
            }
            parsed = tf.io.parse_example(examples, spec)
            image = tf.reshape(parsed["image"], [-1, side, side, 1]) / 16.0
            return {"image": image, "kind": tf.reshape(parsed["kind"], [-1])}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
        def transform_features(self, examples):
            return self._features(examples)

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
        def serving_default(self, examples):
            answers = self._answers(self._features(examples)["image"])
            return {**answers, "label": tf.as_string(answers["class_id"])}

        @tf.function(input_signature=[tf.TensorSpec([None, side * side], tf.float32, name="image")])
        def serving_raw(self, image):
            return self._answers(tf.reshape(image, [-1, side, side, 1]) / 16.0)

        @tf.function(input_signature=[tf.TensorSpec([None, side, side, 1], name="image")])
        def transformed(self, image):
            return self._answers(image)

    root = tmp_path_factory.mktemp("lite")
    model = Classifier()
    names = ("transform_features", "serving_default", "serving_raw", "transformed")
    folder = root / "model" / "7"
    tf.saved_model.save(model, str(folder), {name: getattr(model, name) for name in names})
    rows = {split: list(map(serialized, *draw(200))) for split in ("train", "test")}
    for split, examples in rows.items():
        path = root / "examples" / f"Split-{split}"
        path.mkdir(parents=True)
        options = tf.io.TFRecordOptions(compression_type="GZIP")
        with tf.io.TFRecordWriter(str(path / "data_tfrecord-00000-of-00001.gz"), options) as writer:
            for example in examples:
                writer.write(example)
    return LiteSource(folder, root / "examples", rows["test"])
