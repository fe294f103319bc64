"""A number that is not finite: the training stops, and says which step, layer and tensor."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

from trainer_module import numerics  # isort: skip
from trainer_module.callbacks import Training  # isort: skip
from trainer_module.config import TaskConfig, TrainConfig  # isort: skip
from trainer_module.data import Arrays, MemorySplit  # isort: skip
from trainer_module.loop import train  # isort: skip
from trainer_module.numerics import Finding, NonFiniteError, is_finite, replay  # isort: skip
from trainer_module.tasks import make_task  # isort: skip

from tests.unit.trainer_module.planting import importable, run_python  # isort: skip

PLANTED = '''

class Faulty(Counting):
    """Passes values on; from its step `at` on the gradient that it passes back is nan."""

    def call(self, values, training=None):
        count = self.next_step(training)

        @tf.custom_gradient
        def passed(values):
            return tf.identity(values), lambda up: tf.where(count < self._at, up, float("nan"))

        return passed(values)


class FaultyDigits(PlantedDigits):
    """Digits with the faulty layer inside a block, between the embedding and the heads."""

    def build_model(self, feature_spec):
        model = super().build_model(feature_spec)
        block = keras.Sequential([Faulty(self._at, name="faulty")], name="block")
        embedding = block(model.get_layer("embedding").output)
        outputs = {"class": keras.layers.Dense(10, name="class_logits")(embedding)}
        outputs["attribute"] = keras.layers.Dense(2, name="attributes")(embedding)
        return keras.Model(model.inputs, {**outputs, "embedding": embedding})


class NanFrom:
    """A gradient transform that fails on one variable, from a step on."""

    def __init__(self, step, variable):
        self._step, self._variable = step, variable

    def __call__(self, gradients, variables, step):
        return [
            tf.where(step < self._step, gradient, float("nan"))
            if variable.name.startswith(self._variable) else gradient
            for gradient, variable in zip(gradients, variables)
        ]


class NanOnce:
    """A gradient transform that fails at its fourth use and never again."""

    def __init__(self):
        self._uses = tf.Variable(0)

    def __call__(self, gradients, variables, step):
        uses = self._uses.assign_add(1)
        return [tf.where(uses == 4, float("nan"), gradient) for gradient in gradients]
'''

SMALL = {"filters": 4, "embedding": 8}
DIGITS = TaskConfig(name="digits", options=SMALL)
FAULTY = TaskConfig(name="planted.FaultyDigits", options={"at": 13.0, **SMALL})
CONFIG: dict[str, Any] = {"epochs": 2, "batch_size": 32, "eval_batch_size": 150}
BAD_ROW = 37


@dataclass
class Failure:
    """How a training failed, and what a fresh process finds in the folder that it left."""

    error: NonFiniteError
    training: Path
    replayed: dict[str, Any]

    @property
    def folder(self) -> Path:
        return Path(self.error.folder)


@pytest.fixture(scope="module")
def planted(tmp_path_factory) -> Iterator[Path]:
    """The module `planted` that tasks and transforms are named in, importable here."""
    with importable(tmp_path_factory.mktemp("planted"), "planted", PLANTED) as folder:
        yield folder


def _fail(folder: Path, task: TaskConfig, rows: Arrays, eval_rows: Arrays, **keys: Any):
    config = TrainConfig.model_validate({**CONFIG, **keys})
    with pytest.raises(NonFiniteError) as caught:
        train(make_task(task), {}, MemorySplit(rows), MemorySplit(eval_rows), config, str(folder))
    return caught.value


# Replays the folders in a fresh process, then lets a training on two replicas fail.
CHILD = f"""
import json, sys
import numpy as np
import trainer_module
from trainer_module.config import TaskConfig, TrainConfig
from trainer_module.data import MemorySplit
from trainer_module.loop import train
from trainer_module.numerics import NonFiniteError, replay
from trainer_module.strategy import configure_devices
from trainer_module.tasks import make_task

data, training, *folders = sys.argv[1:]
config = TrainConfig.model_validate({ {**CONFIG, "strategy": "mirrored", "replicas": 2}!r})
configure_devices(config)
print(json.dumps([replay(folder).as_json() for folder in folders]))
with np.load(data) as arrays:
    split = MemorySplit(dict(arrays))
try:
    task = make_task(TaskConfig.model_validate({FAULTY.model_dump()!r}))
    train(task, {{}}, split, MemorySplit(split.head(150)), config, training)
except NonFiniteError as error:
    print(json.dumps(error.finding.as_json()))
"""


@dataclass
class Story:
    """Failures on one device by what was planted, and what was found on two replicas."""

    failures: dict[str, Failure]
    mirrored: dict[str, Any]


@pytest.fixture(scope="module")
def failures(story) -> dict[str, Failure]:
    return story.failures


@pytest.fixture(scope="module")
def story(tmp_path_factory, planted, train_rows, eval_rows) -> Story:
    root = tmp_path_factory.mktemp("failures")
    image = train_rows["image"].copy()
    image[BAD_ROW, 2, 2] = np.nan
    transform = {"name": "planted.NanFrom", "options": {"step": 19, "variable": "conv2/kernel"}}
    errors = {
        "layer": _fail(root / "layer", FAULTY, train_rows, eval_rows),
        "transform": _fail(
            root / "transform", DIGITS, train_rows, eval_rows, gradient_transforms=[transform]
        ),
        "data": _fail(root / "data", DIGITS, {**train_rows, "image": image}, eval_rows),
    }
    folders = [error.folder for error in errors.values()]
    data = root / "digits.npz"
    np.savez(data, **train_rows)
    done = run_python(["-c", CHILD, str(data), str(root / "mirrored"), *folders], planted, root)
    assert done.returncode == 0, done.stderr[-3000:]
    replayed, mirrored = map(json.loads, done.stdout.splitlines()[-2:])
    found = {
        name: Failure(error, root / name, finding)
        for (name, error), finding in zip(errors.items(), replayed, strict=True)
    }
    return Story(found, mirrored)


@pytest.mark.parametrize(
    ("where", "step", "kind", "layer", "tensor"),
    [
        ("layer", 13, "gradient", "faulty", "gradient of its input"),
        (
            "transform",
            19,
            "transform",
            "conv2",
            "gradient after planted.NanFrom of conv2/kernel",
        ),
    ],
)
def test_training_when_a_nan_is_planted_then_names_step_layer_and_tensor(
    failures, where, step, kind, layer, tensor
):
    finding = failures[where].error.finding
    found = (finding.step, finding.kind, finding.layer, finding.tensor)
    assert found == (step, kind, layer, tensor)
    assert finding.features == {}


def test_training_when_a_row_holds_a_nan_then_names_the_first_layer_and_the_row(failures):
    failure = failures["data"]
    finding = failure.error.finding
    assert (finding.kind, finding.layer, finding.tensor) == ("forward", "conv1", "input")
    with np.load(failure.folder / "batch.npz") as batch:
        (row,) = np.flatnonzero(np.isnan(batch["image"]).any(axis=(1, 2, 3)))
    assert finding.features == {"image": [row]}
    assert 0 <= finding.step < 10, "every row comes up once in the first epoch's ten steps"


@pytest.mark.parametrize(("where", "first"), [("layer", 10), ("transform", 10), ("data", 0)])
def test_training_when_a_step_is_bad_then_stops_within_its_call(failures, where, first):
    error = failures[where].error
    assert str(error).startswith(f"steps {first} to {first + 9}: ")
    assert first <= error.step < first + 10
    newest = sorted((failures[where].training / "latest").glob("step-*"))[-1]
    assert newest.name == f"step-{first:010d}", "nothing is saved past the bad step"


@pytest.mark.parametrize("where", ["layer", "transform", "data"])
def test_message_when_a_step_is_bad_then_says_where_its_batch_is_and_how_to_replay(failures, where):
    failure = failures[where]
    assert failure.folder == failure.training / "nonfinite" / f"step-{failure.error.step}"
    text = str(failure.error)
    assert str(failure.error.finding) in text
    assert text.endswith(f"python -m trainer_module replay {failure.folder}")
    report = json.loads((failure.folder / "report.json").read_text())
    assert report == failure.error.finding.as_json()
    assert list(failure.folder.parent.iterdir()) == [failure.folder], "nothing half-written"


@pytest.mark.parametrize("where", ["layer", "transform", "data"])
def test_replay_when_a_fresh_process_reads_the_folder_then_finds_the_same(failures, where):
    assert failures[where].replayed == failures[where].error.finding.as_json()


def test_replay_command_when_given_the_folder_of_a_bad_step_then_says_where_it_was_born(
    failures, planted, tmp_path
):
    failure = failures["layer"]
    command = ["-m", "trainer_module", "replay", str(failure.folder)]
    done = run_python(command, planted, tmp_path)
    assert (done.returncode, done.stdout) == (0, f"{failure.error.finding}\n"), done.stderr[-3000:]


def test_training_when_two_replicas_share_the_bad_step_then_finds_the_same(story):
    found = story.mirrored
    assert (found["step"], found["kind"], found["layer"]) == (13, "gradient", "faulty")


def test_training_when_gradients_overflow_in_float16_then_fails_once_the_scale_is_at_1(
    planted, tmp_path, train_rows, eval_rows
):
    task = TaskConfig(name="planted.FaultyDigits", options={"at": 0.0, **SMALL})
    keys = {"precision": "mixed_float16", "epochs": 3, "steps_per_call": 5}
    error = _fail(tmp_path, task, train_rows, eval_rows, **keys)
    # 2^15 is halved at each of the steps 0 to 14.
    assert str(error).startswith("steps 15 to 19: gradients overflow at loss scale 1")
    assert error.step == 15
    assert _place(error.finding) == ("gradient", "faulty", "gradient of its input")


def test_folder_when_a_step_is_bad_then_holds_the_rows_that_the_step_saw(failures, train_rows):
    step = Training.read_batch(_Reads(MemorySplit(train_rows)), 13)
    with np.load(failures["layer"].folder / "batch.npz") as batch:
        assert set(batch) == set(train_rows)
        for name in train_rows:
            assert batch[name].shape == (32, *train_rows[name].shape[1:])
            assert batch[name].tobytes() == step[name].tobytes()


class _Reads:
    """What of a training its batches depend on."""

    def __init__(self, split: MemorySplit) -> None:
        self.train_split = split
        self.config = TrainConfig.model_validate(CONFIG)
        self.augment = None


def test_folder_when_a_step_is_bad_then_holds_the_weights_before_it(failures):
    with np.load(failures["layer"].folder / "weights.npz") as weights:
        (count,) = [weights[name] for name in weights if name.endswith("count")]
        assert all(np.isfinite(weights[name]).all() for name in weights)
    assert count == 13.0
    with np.load(failures["transform"].folder / "state.npz") as state:
        assert any(name.startswith("generator/") for name in state)
        (updates,) = [state[name] for name in state if name.endswith("updates")]
    assert updates == 19


def test_replay_when_the_cause_is_gone_then_every_number_is_finite(failures, tmp_path):
    folder = failures["data"].folder
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    with np.load(folder / "batch.npz") as batch:
        np.savez(tmp_path / "batch.npz", **{n: np.nan_to_num(batch[n]) for n in batch})
    assert replay(str(tmp_path)).kind == "none"


def test_replay_when_the_folder_is_another_then_says_what_is_missing(tmp_path):
    with pytest.raises(ValueError, match=r"found no training\.json; allowed: a folder that a"):
        replay(str(tmp_path))


def test_replay_when_no_configuration_made_the_task_then_asks_for_it(failures, tmp_path):
    folder = failures["data"].folder
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    training = json.loads((folder / "training.json").read_text())
    (tmp_path / "training.json").write_text(json.dumps({**training, "task": None}))
    with pytest.raises(ValueError, match=r"allowed: replay from Python, replay\(folder, task\)"):
        replay(str(tmp_path))
    assert replay(str(tmp_path), make_task(DIGITS)) == failures["data"].error.finding


def test_training_when_the_nan_does_not_come_again_then_says_so(
    planted, tmp_path, train_rows, eval_rows
):
    error = _fail(
        tmp_path, DIGITS, train_rows, eval_rows, gradient_transforms=[{"name": "planted.NanOnce"}]
    )
    assert "the computation is not the same twice (try train.debug.deterministic)" in str(error)
    assert (error.step, error.finding, error.folder) == (None, None, None)


def test_locate_when_workers_do_not_wait_for_each_other_then_says_what_is_known():
    config = TrainConfig.model_validate({**CONFIG, "strategy": "parameter_server"})
    training = _Reads(None)
    training.config = config
    values = {"loss": float("nan"), "gradient_norm": 1.0}
    error = numerics.locate(training, None, None, 20, 10, values)
    assert str(error).startswith("steps 20 to 29: loss nan; under strategy 'parameter_server'")


@pytest.mark.parametrize(
    ("values", "finite"),
    [
        ({"loss": 1.0, "gradient_norm": 2.0}, True),
        ({"loss": float("nan"), "gradient_norm": 2.0}, False),
        ({"loss": 1.0, "loss/class": float("inf")}, False),
        ({"loss": 1.0, "gradient_norm/generator": float("nan")}, False),
        ({"loss": 1.0, "class/accuracy": float("nan")}, True),
        ({"loss": 1.0, "loss_scale": 8.0, "skipped_steps": 1.0, "gradient_norm": 0.0}, True),
        ({"loss": 1.0, "loss_scale": 1.0, "skipped_steps": 0.0, "gradient_norm": 1.0}, True),
        ({"loss": 1.0, "loss_scale": 1.0, "skipped_steps": 0.1, "gradient_norm": 1.0}, False),
        ({"loss": float("inf"), "loss_scale": 8.0, "skipped_steps": 0.0}, False),
    ],
)
def test_is_finite_when_given_a_calls_values_then_knows_an_overflow_that_scaling_cures(
    values, finite
):
    assert is_finite(values) is finite


def _place(finding: Finding) -> tuple[str, str, str]:
    return finding.kind, finding.layer, finding.tensor
