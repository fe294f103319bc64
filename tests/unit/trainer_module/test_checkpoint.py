"""The latest checkpoints to go on from, and the best one to export."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip
import tf_keras as keras  # isort: skip

from trainer_module.callbacks import Callback  # isort: skip
from trainer_module.checkpoint import Checkpoints, load_best  # isort: skip
from trainer_module.config import TrainConfig  # isort: skip
from trainer_module.progress import LOGGER_NAME  # isort: skip
from trainer_module.state import build_state, seed_keras  # isort: skip
from trainer_module.tasks.base import Head, Phase, Task  # isort: skip


class Tiny(Task):
    """A dense layer behind dropout, whose masks come from a generator."""

    heads = (Head("out", "label", lambda label, out: out[:, 0], served="out"),)

    def __init__(self, units: int = 2) -> None:
        self._units = units

    def build_model(self, feature_spec: object) -> keras.Model:
        inputs = keras.Input((8,), name="x")
        dropped = keras.layers.Dropout(0.5)(inputs)
        return keras.Model(inputs, keras.layers.Dense(self._units, name="dense")(dropped))

    def serving_outputs(self, outputs: dict) -> dict:
        return outputs

    def phases(self, model: keras.Model) -> list[Phase]:
        return [Phase("main", model.trainable_variables, {}, lambda features: None)]


class Training:
    """A state, updated by hand, and its checkpoints."""

    def __init__(self, folder: Path, units: int = 2, seed: int = 0, writes: bool = True) -> None:
        seed_keras(seed)
        config = TrainConfig(epochs=1, batch_size=8, ema={"momentum": 0.9})
        self.state = build_state(Tiny(units), {}, config)
        self.checkpoints = Checkpoints(str(folder), self.state, keep=2, writes=writes)

    def update(self) -> None:
        (player,) = self.state.players
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(self.state.model(tf.ones([4, 8]), training=True) ** 2)
        targets = player.optimizer.targets
        player.optimizer.apply(tape.gradient(loss, targets), tf.constant(0.01))
        self.state.average.update(self.state.step.read_value())
        self.state.step.assign_add(1)

    def bits(self) -> list[bytes]:
        """Returns all that a checkpoint should hold."""
        (player,) = self.state.players
        variables = [
            *self.state.model.variables,
            *player.optimizer.variables,
            *self.state.average.variables,
            self.state.step,
        ]
        return [variable.numpy().tobytes() for variable in variables]


def _names(folder: Path, kind: str) -> list[str]:
    return sorted(path.name for path in (folder / kind).iterdir())


def _trained(folder: Path, steps: int) -> Training:
    """Returns a training that saved after each of its steps."""
    training = Training(folder)
    for _ in range(steps):
        training.update()
        training.checkpoints.save_latest({"best": float(training.state.step.numpy())})
    return training


def _cut(folder: Path, step: int, pattern: str) -> None:
    (path,) = (folder / "latest" / f"step-{step:010d}").glob(pattern)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_restore_latest_when_there_is_none_then_returns_none(tmp_path):
    training = Training(tmp_path)
    assert training.checkpoints.restore_latest() is None
    assert int(training.state.step.numpy()) == 0


def test_restore_latest_when_saved_then_brings_back_all_and_the_next_masks(tmp_path):
    saved = _trained(tmp_path, 3)
    restored = Training(tmp_path, seed=7)
    assert restored.bits() != saved.bits()
    assert restored.checkpoints.restore_latest() == {"best": 3.0}
    assert restored.bits() == saved.bits()
    saved.update()
    restored.update()
    assert restored.bits() == saved.bits()


def test_save_latest_when_called_often_then_keeps_the_newest_two(tmp_path):
    _trained(tmp_path, 4)
    assert _names(tmp_path, "latest") == ["step-0000000003", "step-0000000004"]


def test_save_latest_when_the_step_is_there_already_then_replaces_it(tmp_path):
    training = _trained(tmp_path, 1)
    training.checkpoints.save_latest({"best": 9.0})
    assert Training(tmp_path).checkpoints.restore_latest() == {"best": 9.0}


@pytest.mark.parametrize("pattern", ["checkpoint.data-*", "checkpoint.index", "host.json"])
def test_restore_latest_when_the_newest_is_cut_short_then_warns_and_takes_the_one_before(
    tmp_path, caplog, pattern
):
    _trained(tmp_path, 3)
    _cut(tmp_path, 3, pattern)
    restored = Training(tmp_path, seed=7)
    with caplog.at_level(logging.INFO, LOGGER_NAME):
        assert restored.checkpoints.restore_latest() == {"best": 2.0}
    assert restored.bits() == _trained(tmp_path / "other", 2).bits()
    (record,) = [record for record in caplog.records if record.name == LOGGER_NAME]
    assert record.event["kind"] == "warning"
    assert "step-0000000003 cannot be read" in record.event["text"]


def test_restore_latest_when_all_are_cut_short_then_refuses_to_begin_again_in_silence(tmp_path):
    _trained(tmp_path, 2)
    for step in (1, 2):
        _cut(tmp_path, step, "checkpoint.index")
    with pytest.raises(OSError, match="remove the folder to begin again"):
        Training(tmp_path).checkpoints.restore_latest()


def test_restore_latest_when_the_model_is_another_then_refuses(tmp_path):
    _trained(tmp_path, 1)
    with pytest.raises(OSError, match="no checkpoint in"):
        Training(tmp_path, units=3).checkpoints.restore_latest()


def test_restore_latest_when_a_save_was_killed_then_removes_what_it_left(tmp_path):
    _trained(tmp_path, 1)
    (tmp_path / "latest" / ".partial-host-1").mkdir()
    (tmp_path / "latest" / ".partial-host-1" / "checkpoint.index").write_bytes(b"half")
    assert Training(tmp_path).checkpoints.restore_latest() == {"best": 1.0}
    assert _names(tmp_path, "latest") == ["step-0000000001"]


@pytest.mark.parametrize(
    ("killed_at", "found"),
    [
        ((Path, "rename", ".partial-"), {"best": 1.0}),
        ((shutil, "rmtree", ".old-"), {"best": 9.0}),
    ],
)
def test_save_latest_when_killed_as_it_replaces_a_step_then_the_one_or_the_other_is_there(
    tmp_path, monkeypatch, killed_at, found
):
    """It is killed before the new one takes the old one's place, or before the old one goes."""
    training = _trained(tmp_path, 1)
    holder, name, prefix = killed_at
    original = getattr(holder, name)

    def die(path: Path, *rest: Any, **options: Any) -> Any:
        if path.name.startswith(prefix) and path.exists():
            raise SystemExit
        return original(path, *rest, **options)

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(holder, name, die)
        training.checkpoints.save_latest({"best": 9.0})
    restored = Training(tmp_path, seed=7)
    assert restored.checkpoints.restore_latest() == found
    assert restored.bits() == training.bits()
    assert _names(tmp_path, "latest") == ["step-0000000001"], "nothing lies about"


def test_restore_when_given_a_step_then_takes_that_one_and_not_the_newest(tmp_path):
    _trained(tmp_path, 3)
    restored = Training(tmp_path, seed=7, writes=False)
    assert restored.checkpoints.restore(2) == {"best": 2.0}
    assert int(restored.state.step.numpy()) == 2


def test_save_when_this_process_does_not_write_then_leaves_the_folder_alone(tmp_path):
    training = Training(tmp_path / "run", writes=False)
    training.checkpoints.save_latest({})
    training.checkpoints.save_best()
    assert not (tmp_path / "run").exists()


def test_save_latest_when_the_newest_was_damaged_then_keeps_those_that_can_be_read(tmp_path):
    """Gone on from 2, the training saves 3 and would lose 2 to the damaged 4, by its number."""
    _trained(tmp_path, 2)
    (tmp_path / "latest" / "step-0000000004").mkdir()
    restored = Training(tmp_path)
    assert restored.checkpoints.restore_latest() == {"best": 2.0}
    restored.update()
    restored.checkpoints.save_latest({"best": 3.0})
    assert _names(tmp_path, "latest") == ["step-0000000002", "step-0000000003"]
    assert Training(tmp_path).checkpoints.restore_latest() == {"best": 3.0}


def test_save_latest_when_another_of_a_later_step_is_there_then_stays(tmp_path):
    training = _trained(tmp_path, 1)
    for step in (8, 9):
        (tmp_path / "latest" / f"step-{step:010d}").mkdir()
    training.checkpoints.save_latest({"best": 1.0})
    assert "step-0000000001" in _names(tmp_path, "latest")


def _improved(folder: Path, steps: int) -> Training:
    """Returns a training whose every step was its best, killed before the last was saved."""
    training = Training(folder)
    for step in range(1, steps + 1):
        training.update()
        training.checkpoints.save_best()
        if step < steps:
            training.checkpoints.save_latest({})
    return training


def _best(folder: Path) -> int:
    return load_best(str(folder), Tiny().build_model({}))


def test_restore_best_when_killed_before_the_latest_was_saved_then_gives_the_one_before(tmp_path):
    """The rerun may not come to the step again: it is stopped earlier, and none is better."""
    _improved(tmp_path, 4)
    restored = Training(tmp_path, seed=7)
    assert restored.checkpoints.restore_latest() == {}
    assert _best(tmp_path) == 3
    assert restored.checkpoints.restore_best() == 3


def test_save_best_when_an_earlier_life_had_a_later_one_then_is_the_best(tmp_path):
    _improved(tmp_path, 4)
    shutil.rmtree(tmp_path / "latest" / "step-0000000003")
    restored = Training(tmp_path, seed=7)
    restored.checkpoints.restore_latest()
    restored.update()
    restored.checkpoints.save_best()
    assert (_best(tmp_path), restored.checkpoints.restore_best()) == (3, 3)
    ours, theirs = restored.state.model.get_weights(), _improved(tmp_path / "other", 3).state.model
    for found, expected in zip(ours, theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)


class StopAt(Callback):
    """Ends the training after a call."""

    def on_train_begin(self, training: Any) -> None:
        self._training = training

    def on_call_end(self, step: int, values: Any) -> None:
        if step == 14:
            self._training.stop("told to")


def test_train_when_killed_between_best_and_latest_and_then_stopped_earlier_then_exports_that(
    train_small, tmp_path, monkeypatch
):
    """Of step 20, which the first run kept as its best, the second knows nothing."""
    save = Checkpoints.save_latest

    def die(self: Checkpoints, host: Any) -> None:
        if (tmp_path / "best" / "step-0000000020").exists():
            raise SystemExit
        save(self, host)

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(Checkpoints, "save_latest", die)
        train_small(tmp_path)
    stopped = train_small(tmp_path, callbacks=[StopAt()]).result
    assert (stopped.resumed_from, stopped.last_step, stopped.best_step) == (10, 14, 14)


def test_save_best_when_there_is_no_latest_to_go_on_from_then_nothing_else_is_the_best(tmp_path):
    """One may remove the folder of the latest, to begin again."""
    _improved(tmp_path, 4)
    shutil.rmtree(tmp_path / "latest")
    anew = Training(tmp_path)
    assert anew.checkpoints.restore_latest() is None
    anew.update()
    anew.checkpoints.save_best()
    assert _names(tmp_path, "best") == ["step-0000000001"]


def test_save_latest_when_the_best_moves_on_then_keeps_the_best_of_each_that_is_kept(tmp_path):
    """The newest may turn out to be damaged: what was the best at the one before is there."""
    training = _improved(tmp_path, 5)
    training.checkpoints.save_latest({})
    assert _names(tmp_path, "latest") == ["step-0000000004", "step-0000000005"]
    assert _names(tmp_path, "best") == ["step-0000000004", "step-0000000005"]
    for _ in range(3):
        training.update()
        training.checkpoints.save_latest({})
    assert _names(tmp_path, "best") == ["step-0000000005"]
    _cut(tmp_path, 8, "host.json")
    Training(tmp_path).checkpoints.restore_latest()
    assert _best(tmp_path) == 5


def test_restore_best_when_training_went_on_then_brings_back_the_best_weights(tmp_path):
    training = _trained(tmp_path, 1)
    training.checkpoints.save_best()
    best = training.state.model.get_weights()
    training.update()
    assert not np.array_equal(training.state.model.get_weights()[0], best[0])
    assert training.checkpoints.restore_best() == 1
    np.testing.assert_array_equal(training.state.model.get_weights()[0], best[0])


def test_load_best_when_the_model_is_built_anew_then_fills_it(tmp_path):
    training = _trained(tmp_path, 2)
    training.checkpoints.save_best()
    model = Tiny().build_model({})
    assert load_best(str(tmp_path), model) == 2
    for ours, theirs in zip(model.get_weights(), training.state.model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
