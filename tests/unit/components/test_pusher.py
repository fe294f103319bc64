"""The Pusher makes a version of what is blessed and proved, and touches nothing otherwise."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2
from tfx.dsl.components.base.base_executor import BaseExecutor
from tfx.types import channel, standard_artifacts

from components.evaluator.config import EvaluateConfig
from components.pusher.component import IS_NEW, Executor, Pusher
from components.pusher.model_card import CardSettings
from serving.config import BatchingConfig, ServeConfig
from serving.prediction_logs import exchange, read_logs
from serving.servable_check import ServableCheckFailed
from serving.text_configs import parse_batching
from serving.versions import content_digest, read_manifest
from serving.warmup import WARMUP_FILE
from trainer_module.config import TaskConfig
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


class Narrow(Scale):
    """As `Scale`, for two rows or less."""

    @tf.function(input_signature=[tf.TensorSpec([None, 1], tf.float32, name="x")])
    def score(self, x):
        with tf.control_dependencies([tf.debugging.assert_less(tf.shape(x)[0], 3)]):
            return {"score": x * self.weight}


@pytest.fixture
def push(tmp_path, artifact):
    """Runs the executor on real artifacts; returns the pushed model's artifact."""
    root = tmp_path / "serving"
    model = artifact(standard_artifacts.Model, 5)

    def save(module):
        tf.saved_model.save(module, f"{model.uri}/Format-Serving", {"score": module.score})

    save(Scale())
    model_run = artifact(standard_artifacts.ModelRun, 6)
    runs = iter(range(7, 100))

    def run(blessed, answer=X * 2, serve=SERVE, run_id=None, unique_id=None):
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
            serve=serve,
        )
        inputs = {"model": [model], "model_blessing": [blessing], "model_run": [model_run]}
        properties = dict(component.exec_properties)
        context = None
        if run_id or unique_id:
            context = BaseExecutor.Context(pipeline_run_id=run_id, unique_id=unique_id)
        Executor(context).Do(inputs, {"pushed_model": [pushed]}, properties)
        return pushed

    run.root, run.model, run.save = root, model, save
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


def test_pusher_when_its_run_made_the_version_before_it_was_killed_then_the_push_is_its_own(push):
    first = push(blessed=1, run_id="night-1")
    resumed, another = push(blessed=1, run_id="night-1"), push(blessed=1, run_id="night-2")
    pushes = [
        (made.get_int_custom_property(IS_NEW), made.get_string_custom_property("pushed_version"))
        for made in (first, resumed, another)
    ]
    version = first.get_string_custom_property("pushed_version")
    assert pushes == [(1, version), (1, version), (0, version)]


def test_pusher_when_it_makes_a_version_then_leaves_warmup_requests_in_every_allowed_size(push):
    version = Path(push(blessed=1).get_string_custom_property("pushed_destination"))
    asked = [exchange(log) for log in read_logs(version / WARMUP_FILE)]
    assert [(one.signature, one.inputs["x"].tolist()) for one in asked] == [
        ("score", [[1.0], [2.0]] * 2),
        ("score", [[1.0], [2.0]] * 4),
    ]
    names = {log.predict_log.request.model_spec.name for log in read_logs(version / WARMUP_FILE)}
    assert names == {"scale"}


def test_pusher_when_a_warmup_request_would_fail_then_refuses_and_touches_nothing(push):
    # It answers the two rows of the reference, and no batch of four.
    push.save(Narrow())
    with pytest.raises(ServableCheckFailed, match=r"tf_serving_warmup_requests, record 1: Invalid"):
        push(blessed=1)
    assert not push.root.exists()


def test_pusher_when_batch_sizes_change_then_the_version_that_is_served_is_warmed_up_in_the_new(
    push,
):
    version = Path(push(blessed=1).get_string_custom_property("pushed_destination"))
    smaller = ServeConfig(batching=BatchingConfig(max_batch_size=2))
    again = push(blessed=1, serve=smaller)
    assert again.get_int_custom_property(IS_NEW) == 0
    assert again.get_string_custom_property("pushed_destination") == str(version)
    asked = [exchange(log) for log in read_logs(version / WARMUP_FILE)]
    assert [len(one.inputs["x"]) for one in asked] == [1, 2]
    assert parse_batching((version / "batching_params.pbtxt").read_text()) == smaller.batching


def test_pusher_when_no_evaluation_came_before_then_the_card_tells_what_is_known(push):
    version = Path(push(blessed=1).get_string_custom_property("pushed_destination"))
    card = json.loads((version / "assets.extra" / "model_card.json").read_text())
    assert card["name"] == "scale"
    assert card["digest"] == content_digest(Path(push.model.uri, "Format-Serving"))
    assert card["digest"] == read_manifest(version)["digest"]
    assert card["data"] == DATA
    assert (card["metrics"], card["thresholds"], card["task"]) == ({}, [], None)
    assert card["lineage"]["artifacts"]["model"] == {
        "id": 5,
        "type": "Model",
        "uri": push.model.uri,
    }
    assert (version / "assets.extra" / "model_card.md").read_text().startswith("# scale\n")


def test_pusher_when_its_execution_has_a_name_for_an_id_then_the_card_has_none(push):
    pushed = push(blessed=1, unique_id="kfp_outputs")
    version = Path(pushed.get_string_custom_property("pushed_destination"))
    card = json.loads((version / "assets.extra" / "model_card.json").read_text())
    assert card["lineage"]["execution_id"] is None


def test_component_when_given_what_a_card_tells_then_passes_it_on():
    card = CardSettings(
        task=TaskConfig(name="digits", options={"filters": 8}),
        evaluate=EvaluateConfig.model_validate(
            {"metrics": [{"name": "accuracy", "head": "class", "at_least": 0.9}]}
        ),
        code="c0de",
    )
    optional = {
        "evaluation": standard_artifacts.ModelEvaluation,
        "schema": standard_artifacts.Schema,
        "statistics": standard_artifacts.ExampleStatistics,
    }
    component = Pusher(
        model=channel.Channel(type=standard_artifacts.Model),
        model_blessing=channel.Channel(type=standard_artifacts.ModelBlessing),
        model_run=channel.Channel(type=standard_artifacts.ModelRun),
        serving_root="/serving",
        model_name="scale",
        data=DATA,
        serve=SERVE,
        card=card,
        **{name: channel.Channel(type=kind) for name, kind in optional.items()},
    )
    assert CardSettings.model_validate_json(component.exec_properties["card"]) == card
    assert set(component.inputs) == {"model", "model_blessing", "model_run", *optional}


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
    assert properties == {"serving_root": "/serving", "model_name": "scale", "card": None}
    assert set(component.outputs) == {"pushed_model"}
