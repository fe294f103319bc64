"""An explosion: the training stops, and says which step, layer and tensor."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip

from trainer_module.callbacks import Callback, Explosion  # isort: skip
from trainer_module.config import ExplosionConfig, TaskConfig, TrainConfig  # isort: skip
from trainer_module.data import MemorySplit  # isort: skip
from trainer_module.loop import train  # isort: skip
from trainer_module.numerics import Bound, ExplosionError, locate_explosion, replay  # isort: skip
from trainer_module.runner import SynchronousRunner  # isort: skip
from trainer_module.tasks import make_task  # isort: skip

from tests.unit.trainer_module.planting import importable, run_python  # isort: skip

PLANTED = '''

class Loud(Counting):
    """Passes values on; at its step `at` the gradient of its weight is 1e6, and 0 at others."""

    def build(self, shape):
        super().build(shape)
        self.gain = self.add_weight(name="gain", initializer="zeros")

    def call(self, values, training=None):
        count = self.next_step(training)

        @tf.custom_gradient
        def passed(values, gain):
            of_gain = tf.where(tf.equal(count, self._at), 1e6, 0.0)
            return tf.identity(values), lambda up: (up, of_gain)

        return passed(values, self.gain.read_value())


class LoudDigits(PlantedDigits):
    """Digits on one hidden layer, the loud one inside a block behind it."""

    def build_model(self, feature_spec):
        layers = keras.layers
        image = keras.Input((8, 8, 1), name="image")
        x = layers.Dense(8, activation="tanh", name="embedding")(layers.Flatten()(image))
        y = keras.Sequential([Loud(self._at, name="loud")], name="block")(x)
        outputs = {
            "class": layers.Dense(10, name="class")(y),
            "attribute": layers.Dense(2, name="attribute")(y),
            "embedding": x,
        }
        return keras.Model({"image": image}, outputs)
'''

AT = 13
ABOVE = 1e4
LOUD = TaskConfig(name="planted_loud.LoudDigits", options={"at": float(AT)})
CONFIG: dict[str, Any] = {
    "epochs": 2,
    "batch_size": 32,
    "eval_batch_size": 150,
    "steps_per_call": 5,
    "callbacks": {"stop_on_explosion": {"value": "gradient_norm", "above": ABOVE}},
}
BAD_ROW = 37

# Replays the folder in a fresh process, then lets a training on two replicas explode.
CHILD = f"""
import json, sys
import numpy as np
import trainer_module
from trainer_module.callbacks import Explosion
from trainer_module.config import TaskConfig, TrainConfig
from trainer_module.data import MemorySplit
from trainer_module.loop import train
from trainer_module.numerics import ExplosionError, replay
from trainer_module.strategy import configure_devices
from trainer_module.tasks import make_task

data, training, folder = sys.argv[1:]
config = TrainConfig.model_validate({ {**CONFIG, "strategy": "mirrored", "replicas": 2}!r})
configure_devices(config)
print(json.dumps(replay(folder).as_json()))
with np.load(data) as arrays:
    split = MemorySplit(dict(arrays))
watching = [Explosion(config.callbacks.stop_on_explosion)]
try:
    task = make_task(TaskConfig.model_validate({LOUD.model_dump()!r}))
    train(task, {{}}, split, MemorySplit(split.head(150)), config, training, watching)
except ExplosionError as error:
    print(json.dumps(error.finding.as_json()))
"""


@dataclass
class Story:
    """How a training failed, whether its workers parted, and what others find."""

    error: ExplosionError
    training: Path
    parted: int
    replayed: dict[str, Any]
    mirrored: dict[str, Any]

    @property
    def folder(self) -> Path:
        return Path(self.error.folder)


@pytest.fixture(scope="module")
def planted(tmp_path_factory) -> Iterator[Path]:
    """The module `planted_loud` that the task is named in, importable here."""
    with importable(tmp_path_factory.mktemp("planted"), "planted_loud", PLANTED) as folder:
        yield folder


@pytest.fixture(scope="module")
def story(tmp_path_factory, planted, train_rows, eval_rows) -> Story:
    root = tmp_path_factory.mktemp("explosions")
    config = TrainConfig.model_validate(CONFIG)
    watching = [Explosion(config.callbacks.stop_on_explosion)]
    splits = MemorySplit(train_rows), MemorySplit(eval_rows)
    parted = []
    with pytest.MonkeyPatch.context() as patch, pytest.raises(ExplosionError) as caught:
        patch.setattr(SynchronousRunner, "part", lambda runner: parted.append(runner))
        train(make_task(LOUD), {}, *splits, config, str(root / "training"), watching)
    data = root / "digits.npz"
    np.savez(data, **train_rows)
    arguments = [str(data), str(root / "mirrored"), caught.value.folder]
    done = run_python(["-c", CHILD, *arguments], planted, root)
    assert done.returncode == 0, done.stderr[-3000:]
    found = map(json.loads, done.stdout.splitlines()[-2:])
    return Story(caught.value, root / "training", len(parted), *found)


def test_training_when_a_layers_gradient_explodes_then_names_step_layer_and_tensor(story):
    finding = story.error.finding
    found = (finding.step, finding.kind, finding.layer, finding.tensor)
    assert found == (AT, "explosion", "loud", f"gradient of {_gain(story)}")
    assert finding.values.startswith("norm 1e+06, the largest of the step's gradients; ")
    assert finding.values.endswith("gradient_norm 1e+06 is above 10000")
    assert story.error.step == AT


def test_training_when_it_explodes_then_stops_within_the_call_and_parts(story):
    text = str(story.error)
    assert text.startswith("train.callbacks.stop_on_explosion: found gradient_norm 20000")
    assert ", the mean of steps 10 to 14; allowed: at most 10000; " in text
    newest = sorted((story.training / "latest").glob("step-*"))[-1]
    assert newest.name == "step-0000000010", "nothing is saved past the bad step"
    assert story.parted == 1


def test_message_when_it_explodes_then_says_where_its_batch_is_and_how_to_replay(story):
    assert story.folder == story.training / "explosion" / f"step-{AT}"
    text = str(story.error)
    assert (
        f". Of these steps the first above it is gradient_norm 1e+06 in {story.error.finding}. "
        in text
    )
    assert text.endswith(f"python -m trainer_module replay {story.folder}")
    report = json.loads((story.folder / "report.json").read_text())
    assert report == story.error.finding.as_json()
    assert list(story.folder.parent.iterdir()) == [story.folder], "nothing half-written"


def test_folder_when_it_explodes_then_holds_the_batch_and_the_weights_before(story, train_rows):
    with np.load(story.folder / "batch.npz") as batch:
        assert {name: batch[name].shape for name in batch} == {
            name: (32, *rows.shape[1:]) for name, rows in train_rows.items()
        }
    with np.load(story.folder / "weights.npz") as weights:
        (count,) = [weights[name] for name in weights if name.endswith("count")]
        (gain,) = [weights[name] for name in weights if name.endswith("gain")]
    assert (count, gain) == (AT, 0.0)


def test_replay_when_a_fresh_process_reads_the_folder_then_finds_the_same(story):
    assert story.replayed == story.error.finding.as_json()


def test_training_when_two_replicas_share_the_step_then_finds_the_same(story):
    found, finding = story.mirrored, story.error.finding
    assert (found["step"], found["kind"]) == (AT, "explosion")
    assert (found["layer"], found["tensor"]) == (finding.layer, finding.tensor)


def test_replay_when_the_cause_is_gone_then_says_that_the_value_is_within_its_bound(
    story, tmp_path
):
    for path in story.folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    with np.load(story.folder / "weights.npz") as weights:
        cured = {n: weights[n] + (1.0 if n.endswith("count") else 0.0) for n in weights}
    np.savez(tmp_path / "weights.npz", **cured)
    finding = replay(str(tmp_path))
    assert finding.kind == "none"
    assert str(finding).endswith(" is within 10000")


def test_training_when_a_label_explodes_the_loss_then_names_its_head_and_largest_gradient(
    train_small, dense_task, gradients_of, train_rows, tmp_path
):
    attribute = train_rows["attribute"].copy()
    attribute[BAD_ROW] = 1e4
    watching = [Explosion(ExplosionConfig(value="loss", above=1e3))]
    with pytest.raises(ExplosionError) as caught:
        rows = {**train_rows, "attribute": attribute}
        train_small(tmp_path, rows=rows, callbacks=watching)
    finding = caught.value.finding
    folder = Path(caught.value.folder)
    with np.load(folder / "batch.npz") as batch, np.load(folder / "weights.npz") as weights:
        assert (batch["attribute"] == 1e4).all(axis=1).any(), "the first step that has the row"
        model = dense_task().build_model({})
        model.set_weights([weights[name] for name in sorted(weights)])
        gradients = gradients_of(model, {name: tf.constant(batch[name]) for name in batch})
    norms = [np.linalg.norm(gradient) for gradient in gradients]
    largest = model.trainable_variables[int(np.argmax(norms))].name.partition(":")[0]
    assert finding.kind == "explosion"
    assert (finding.layer, finding.tensor) == (largest.split("/")[0], f"gradient of {largest}")
    named = re.match(r"norm (\S+), the largest of the step's gradients; ", finding.values)
    assert float(named[1]) == pytest.approx(max(norms), rel=1e-4)
    assert "the largest part of the loss is attribute, " in finding.values
    assert replay(str(folder), dense_task()) == finding


class _Alarm(Callback):
    """Calls an explosion that is none, after the steps 4 to 7."""

    def on_call_end(self, step, values):
        if step == 8:
            raise ExplosionError("a false alarm", Bound("loss", 1e9))


def test_training_when_no_single_step_is_above_then_names_the_one_with_the_largest_value(
    train_small, dense_task, tmp_path
):
    record = train_small(steps_per_call=1, epochs=1).record
    losses = [values["loss"] for _, values in record.calls]
    with pytest.raises(ExplosionError) as caught:
        train_small(tmp_path, callbacks=[_Alarm()])
    error = caught.value
    assert error.step == 4 + int(np.argmax(losses[4:8]))
    assert str(error).startswith(
        "a false alarm. Of these steps none, taken again, is above it (try "
        f"train.debug.deterministic); the largest is loss {max(losses[4:8]):.6g} in "
        f"step {error.step}, "
    )
    assert error.finding.kind == "none"
    assert error.finding.layer
    assert replay(error.folder, dense_task()) == error.finding


def test_locate_explosion_when_workers_do_not_wait_for_each_other_then_says_what_is_known(
    asynchronous,
):
    error = ExplosionError("what is known", Bound("loss", 1.0))
    found = locate_explosion(asynchronous, None, None, 20, 10, error)
    assert str(found).startswith("what is known; under strategy 'parameter_server' steps cannot")
    assert found.bound == error.bound


@pytest.fixture
def asynchronous():
    """What of a training says that its steps have no order."""

    class Asynchronous:
        config = TrainConfig.model_validate({**CONFIG, "strategy": "parameter_server"})

    return Asynchronous()


def _gain(story: Story) -> str:
    with np.load(story.folder / "weights.npz") as weights:
        (name,) = [name for name in weights if name.endswith("gain")]
    return name.partition("/")[2]
