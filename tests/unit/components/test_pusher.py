"""The Pusher makes a version of what is blessed and proved, and touches nothing otherwise."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2
from tfx.types import channel, standard_artifacts

from components.pusher.component import IS_NEW, Executor, Pusher
from serving.config import BatchingConfig, ServeConfig
from serving.servable_check import ServableCheckFailed
from serving.text_configs import parse_batching
from serving.versions import read_manifest
from trainer_module.reference import FILE_NAME

X = np.array([[1.0], [2.0]], np.float32)
DATA = {"dataset": "bundled", "limit": None}
SERVE = ServeConfig(batching=BatchingConfig(max_batch_size=8, allowed_batch_sizes=[4, 8]))


class Scale(tf.Module):
    """Answers x times its weight."""

    def __init__(self):
        super().__init__()
        self.weight = tf.Variable(2.0)

    @tf.function(input_signature=[tf.TensorSpec([None, 1], tf.float32, name="x")])
    def score(self, x):
        return {"score": x * self.weight}


@pytest.fixture
def push(tmp_path, artifact):
    """Runs the executor on real artifacts; returns the pushed model's artifact."""
    root = tmp_path / "serving"
    model = artifact(standard_artifacts.Model, 5)
    module = Scale()
    tf.saved_model.save(module, f"{model.uri}/Format-Serving", {"score": module.score})
    model_run = artifact(standard_artifacts.ModelRun, 6)
    runs = iter(range(7, 100))

    def run(blessed, answer=X * 2):
        log = prediction_log_pb2.PredictionLog()
        log.predict_log.request.model_spec.signature_name = "score"
        log.predict_log.request.inputs["x"].CopyFrom(tf.make_tensor_proto(X))
        log.predict_log.response.outputs["score"].CopyFrom(tf.make_tensor_proto(answer))
        with tf.io.TFRecordWriter(f"{model_run.uri}/{FILE_NAME}") as writer:
            writer.write(log.SerializeToString())
        number = next(runs)
        blessing = artifact(standard_artifacts.ModelBlessing, number, blessed=blessed)
        pushed = artifact(standard_artifacts.PushedModel, number)
        component = Pusher(
            model=channel.Channel(type=standard_artifacts.Model),
            model_blessing=channel.Channel(type=standard_artifacts.ModelBlessing),
            model_run=channel.Channel(type=standard_artifacts.ModelRun),
            serving_root=str(root),
            model_name="scale",
            data=DATA,
            serve=SERVE,
        )
        inputs = {"model": [model], "model_blessing": [blessing], "model_run": [model_run]}
        properties = dict(component.exec_properties)
        Executor().Do(inputs, {"pushed_model": [pushed]}, properties)
        return pushed

    run.root, run.model = root, model
    return run


def contents(root):
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_pusher_when_the_model_is_not_blessed_then_says_so_and_touches_nothing(push):
    pushed = push(blessed=0)
    assert pushed.get_int_custom_property("pushed") == 0
    assert not pushed.has_custom_property("pushed_version")
    assert not push.root.exists()


def test_pusher_when_blessed_but_the_answers_differ_then_raises_and_touches_nothing(push):
    with pytest.raises(ServableCheckFailed, match="signature score, output score"):
        push(blessed=1, answer=X * 2.1)
    assert not push.root.exists()


def test_pusher_when_blessed_and_proved_then_the_version_is_served_and_told(push):
    pushed = push(blessed=1)

    version = Path(pushed.get_string_custom_property("pushed_destination"))
    assert pushed.get_int_custom_property("pushed") == 1
    assert pushed.get_string_custom_property("pushed_version") == version.name
    assert pushed.get_int_custom_property(IS_NEW) == 1
    assert version.parent == push.root / "scale"
    loaded = tf.saved_model.load(str(version)).signatures["score"]
    np.testing.assert_allclose(loaded(x=tf.constant(X))["score"], X * 2)
    manifest = read_manifest(version)
    assert manifest["data"] == DATA
    assert (manifest["model_artifact_id"], manifest["model_uri"]) == (5, push.model.uri)
    assert parse_batching((push.root / "batching.config").read_text()) == SERVE.batching
    before = contents(push.root)

    # The same model again, its answers no longer of account: it is served already.
    again = push(blessed=1, answer=X * 2.1)
    assert again.get_int_custom_property("pushed") == 1
    assert again.get_int_custom_property(IS_NEW) == 0
    assert again.get_string_custom_property("pushed_destination") == str(version)
    assert contents(push.root) == before

    # Another model that is not blessed: what is served stays.
    Path(push.model.uri, "Format-Serving", "new.txt").write_text("another model")
    assert push(blessed=0).get_int_custom_property("pushed") == 0
    assert contents(push.root) == before


def test_component_when_made_then_its_properties_carry_the_whole_serving_configuration():
    component = Pusher(
        model=channel.Channel(type=standard_artifacts.Model),
        model_blessing=channel.Channel(type=standard_artifacts.ModelBlessing),
        model_run=channel.Channel(type=standard_artifacts.ModelRun),
        serving_root="/serving",
        model_name="scale",
        data=DATA,
        serve=SERVE,
    )
    properties = component.exec_properties
    assert ServeConfig.model_validate_json(properties.pop("serve")) == SERVE
    assert json.loads(properties.pop("data")) == DATA
    assert properties == {"serving_root": "/serving", "model_name": "scale"}
    assert set(component.outputs) == {"pushed_model"}
