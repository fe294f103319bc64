"""The generator's own signature, as a server has it."""

from __future__ import annotations

import numpy as np
import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip

from serving.servable_check import ServableCheckFailed, compare_with_reference  # isort: skip
from serving.session import SavedModelSession  # isort: skip
from trainer_module.export import ServingModel  # isort: skip
from trainer_module.reference import write_reference_answers  # isort: skip
from trainer_module.state import build_model, seed_keras  # isort: skip
from trainer_module.tasks.gan import features  # isort: skip

RAW_SPEC = {
    "image": tf.io.FixedLenFeature([64], tf.float32),
    "digit": tf.io.FixedLenFeature([1], tf.int64),
}


@pytest.fixture(scope="module")
def exported(gan, analyze, raw_digits, digit_examples, tmp_path_factory):
    """Folder of a SavedModel, and file of the answers of the model in memory."""
    transform = analyze(
        raw_digits, RAW_SPEC, lambda inputs: features.preprocessing_fn(inputs, label="digit")
    )
    seed_keras(0)
    serving = ServingModel(gan, build_model(gan, {}, "float32"), transform, RAW_SPEC, "digit")
    folder = tmp_path_factory.mktemp("exported")
    serving.save(str(folder / "model"))
    write_reference_answers(serving, digit_examples[:20], str(folder / "reference"))
    return folder / "model", folder / "reference"


def test_generate_when_served_then_a_seed_has_its_image_in_every_batch(exported):
    session = SavedModelSession(exported[0])
    images = session.run("generate", {"seed": np.array([3, 8, 5])})["image"]
    assert images.shape == (3, 8, 8)
    assert 0.0 <= images.min() < images.max() <= 16.0
    alone = session.run("generate", {"seed": np.array([5])})["image"]
    np.testing.assert_allclose(images[2], alone[0], atol=1e-5)
    assert not np.allclose(images[0], images[1], atol=1e-3)


def test_serving_when_asked_about_digits_then_answers_with_scores_and_both_embeddings(
    exported, raw_digits
):
    session = SavedModelSession(exported[0])
    images = np.stack([row["image"] for row in raw_digits[:20]])
    answers = session.run("serving_raw", {"image": images})
    assert set(answers) == {"class_id", "scores", "embeddings"}
    assert answers["scores"].shape == (20, 2)
    embedding = session.run("embedding", {"image": images})["embedding"]
    np.testing.assert_allclose(answers["embeddings"][:, :32], embedding, atol=1e-5)
    truth = [int(row["digit"][0]) for row in raw_digits[:20]]
    assert np.mean(answers["class_id"] == truth) >= 0.9


def test_servable_check_when_the_model_is_as_trained_then_covers_generate(exported):
    differences = compare_with_reference(*exported, tolerance=1e-5)
    assert set(differences) == {
        "serving_default",
        "serving_raw",
        "embedding",
        "transform_features",
        "transformed",
        "generate",
    }


def test_servable_check_when_generate_answers_otherwise_then_fails(exported, tmp_path):
    from tensorflow_serving.apis import prediction_log_pb2

    path = tmp_path / "reference"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in tf.data.TFRecordDataset(str(exported[1])):
            log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
            request = log.predict_log.request
            if request.model_spec.signature_name == "generate":
                seeds = tf.make_ndarray(request.inputs["seed"]) + 1
                request.inputs["seed"].CopyFrom(tf.make_tensor_proto(seeds))
            writer.write(log.SerializeToString())
    with pytest.raises(ServableCheckFailed, match=r"^signature generate, output image: differs"):
        compare_with_reference(exported[0], path, tolerance=1e-5)
