"""The Trainer is TFX's, with the raw eval examples within `run_fn`'s reach."""

import json
from pathlib import Path

import pytest
from tfx.types import artifact_utils, channel, standard_artifacts

from components.trainer.component import Executor, Trainer
from trainer_module.config import TaskConfig, TrainConfig, TrainerSettings
from trainer_module.run_fn import RAW_EXAMPLES, RUN_ID

SETTINGS = TrainerSettings(
    task=TaskConfig(name="digits"),
    train=TrainConfig(epochs=1, batch_size=8),
    label="digit",
    code="hash",
    checkpoint_root="/checkpoints",
)


@pytest.fixture(scope="module")
def trainer():
    return Trainer(
        examples=channel.Channel(type=standard_artifacts.Examples),
        raw_examples=channel.Channel(type=standard_artifacts.Examples),
        transform_graph=channel.Channel(type=standard_artifacts.TransformGraph),
        schema=channel.Channel(type=standard_artifacts.Schema),
        settings=SETTINGS,
    )


def examples(artifact, artifact_id):
    """Makes an Examples artifact of three splits with a file each."""
    made = artifact(standard_artifacts.Examples, artifact_id)
    made.split_names = artifact_utils.encode_split_names(["train", "eval", "test"])
    for split in ("train", "eval", "test"):
        folder = Path(made.uri, f"Split-{split}")
        folder.mkdir()
        (folder / "data.gz").touch()
    return made


@pytest.fixture
def fn_args(trainer, artifact):
    """What `run_fn` is given, by a real executor on real artifacts."""
    schema = artifact(standard_artifacts.Schema, 4)
    Path(schema.uri, "schema.pbtxt").touch()
    inputs = {
        "examples": [examples(artifact, 1)],
        RAW_EXAMPLES: [examples(artifact, 2)],
        "transform_graph": [artifact(standard_artifacts.TransformGraph, 3)],
        "schema": [schema],
    }
    outputs = {
        "model": [artifact(standard_artifacts.Model, 5)],
        "model_run": [artifact(standard_artifacts.ModelRun, 6)],
    }
    executor = Executor(Executor.Context(pipeline_run_id="night-1", unique_id="8"))
    return executor._GetFnArgs(inputs, outputs, dict(trainer.exec_properties)), inputs


def test_trainer_when_run_then_run_fn_gets_the_raw_examples_of_the_eval_split_alone(fn_args):
    given, inputs = fn_args
    (pattern,) = given.custom_config[RAW_EXAMPLES]
    found = list(Path("/").glob(pattern.lstrip("/")))
    assert found == [Path(inputs[RAW_EXAMPLES][0].uri, "Split-eval", "data.gz")]


def test_trainer_when_run_then_run_fn_gets_the_id_of_the_run(fn_args):
    given, _ = fn_args
    assert given.custom_config[RUN_ID] == "night-1"


def test_trainer_when_run_then_run_fn_trains_on_the_transformed_examples(fn_args):
    given, inputs = fn_args
    base = inputs["examples"][0].uri
    assert [Path(name).parent for name in given.train_files] == [Path(base, "Split-train")]
    assert [Path(name).parent for name in given.eval_files] == [Path(base, "Split-eval")]


def test_trainer_when_run_then_run_fn_gets_the_settings_as_they_were_given(fn_args):
    given, _ = fn_args
    ours = (RAW_EXAMPLES, RUN_ID)
    settings = {key: value for key, value in given.custom_config.items() if key not in ours}
    assert TrainerSettings.model_validate(settings) == SETTINGS


def test_component_when_made_then_the_code_is_an_importable_path_and_no_file(trainer):
    properties = trainer.exec_properties
    assert properties["run_fn"] == "trainer_module.run_fn.run_fn"
    assert not properties.get("module_file")
    assert json.loads(properties["custom_config"])["code"] == "hash"


def test_component_when_made_then_takes_raw_examples_beside_what_tfxs_trainer_takes(trainer):
    assert set(trainer.inputs) == {"examples", RAW_EXAMPLES, "transform_graph", "schema"}
    assert set(trainer.outputs) == {"model", "model_run"}
