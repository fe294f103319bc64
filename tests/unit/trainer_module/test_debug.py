"""Trainings of less data, and trainings without graphs."""

from __future__ import annotations

import re

import numpy as np
import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip

from trainer_module.callbacks import Callback  # isort: skip
from trainer_module.config import TrainConfig  # isort: skip
from trainer_module.data import Call, MemorySplit, Plan, Share  # isort: skip
from trainer_module.debug import eagerly, limit, prepare_folder  # isort: skip
from trainer_module.loop import TrainResult, train  # isort: skip
from trainer_module.tasks.digits import Digits  # isort: skip


def _config(**keys: object) -> TrainConfig:
    values = {"epochs": 4, "batch_size": 32, "eval_batch_size": 50, "steps_per_call": 2}
    return TrainConfig.model_validate({**values, **keys})


@pytest.fixture
def splits(train_rows, eval_rows) -> tuple[MemorySplit, MemorySplit]:
    return MemorySplit(train_rows), MemorySplit(eval_rows)


class Watch(Callback):
    def __init__(self) -> None:
        self.steps: list[int] = []
        self.evaluations: list[dict[str, float]] = []

    def on_call_end(self, step, values) -> None:
        self.steps.append(step)

    def on_epoch_end(self, epoch, step, train, evaluation) -> None:
        self.evaluations.append(dict(evaluation))


def _train(config, train_split, eval_split, folder, task=None) -> tuple[TrainResult, Watch]:
    watch, task = Watch(), task or Digits(filters=4, embedding=8)
    return train(task, {}, train_split, eval_split, config, str(folder), [watch]), watch


def test_limit_when_nothing_is_asked_for_then_changes_nothing(splits):
    config = _config()
    assert limit(config, *splits) == (config, *splits)


def test_fast_dev_run_when_trained_then_takes_three_steps_and_evaluates_a_batch(splits, tmp_path):
    config, train_split, eval_split = limit(_config(debug={"fast_dev_run": True}), *splits)
    assert (train_split.rows, eval_split.rows) == (96, 50)
    result, watch = _train(config, train_split, eval_split, tmp_path)
    assert (result.last_step, result.total_steps) == (3, 3)
    assert watch.steps == [2, 3]
    assert len(watch.evaluations) == 1


def test_fast_dev_run_when_there_are_few_rows_then_takes_what_there_is(train_rows, splits):
    few = MemorySplit({name: values[:40] for name, values in train_rows.items()})
    _, train_split, _ = limit(_config(debug={"fast_dev_run": True}), few, splits[1])
    assert train_split.rows == 40


def test_folder_when_it_is_a_fast_dev_run_then_is_its_own_and_empty_each_time(tmp_path):
    training = tmp_path / "training"
    (training / "latest").mkdir(parents=True)
    config = _config(debug={"fast_dev_run": True})
    for _ in range(2):
        folder = prepare_folder(config, str(training))
        assert folder == str(training / "fast-dev-run")
        assert list((training / "fast-dev-run").iterdir()) == []
        (training / "fast-dev-run" / "latest").mkdir()
    prepare_folder(config, str(training), is_chief=False)
    assert (training / "fast-dev-run" / "latest").exists(), "only the chief empties it"
    assert (training / "latest").exists()
    assert prepare_folder(_config(), str(training)) == str(training)
    assert config.debug.folder_in(str(training)) == folder


def test_folder_when_it_overfits_then_is_its_own_for_each_number_and_stays_as_it_was(tmp_path):
    training = str(tmp_path)
    for batches in (2, 3):
        folder = prepare_folder(_config(debug={"overfit_batches": batches}), training)
        assert folder == str(tmp_path / f"overfit-{batches}")
    (tmp_path / "overfit-2" / "latest").mkdir()
    config = _config(debug={"overfit_batches": 2})
    assert prepare_folder(config, training) == config.debug.folder_in(training)
    assert (tmp_path / "overfit-2" / "latest").exists(), "it may go on"


def _batches(split, calls, share=None, augment=None) -> list[np.ndarray]:
    dataset = split.training(Plan(calls, 2, 32, 0, augment), share or Share())
    return [element["image"].numpy() for element in dataset]


def test_overfit_when_epochs_pass_then_batches_are_the_first_ones_in_order(splits, train_rows):
    config, fixed, evaluated = limit(_config(debug={"overfit_batches": 2}), *splits)
    assert fixed is evaluated
    assert (fixed.rows, config.epochs) == (64, 4)
    first, second = _batches(fixed, [Call(0, 2), Call(2, 2)], augment=_Spoil())
    expected = splits[0].head(64)["image"]
    assert first.reshape(expected.shape).tobytes() == expected.tobytes()
    assert second.tobytes() == first.tobytes()


class _Spoil:
    """An augmentation that would be seen."""

    draws = 1

    def __call__(self, features: dict, uniforms: tf.Tensor) -> dict:
        return {**features, "image": features["image"] * 0.0}


def test_overfit_when_replicas_share_a_step_then_it_holds_the_same_rows(splits):
    _, fixed, _ = limit(_config(debug={"overfit_batches": 2}), *splits)
    calls = [Call(0, 2), Call(3, 1)]
    whole = _batches(fixed, calls)
    shared = _batches(fixed, calls, Share(replicas=2, count=2))
    for place, expected in enumerate(whole):
        halves = np.concatenate(shared[2 * place : 2 * place + 2], axis=1)
        assert halves.tobytes() == expected.tobytes()
    second = _batches(fixed, calls, Share(replicas=2, first=1, count=1))
    assert second[1].tobytes() == shared[3].tobytes()


def test_overfit_when_trained_then_the_loss_of_the_batches_falls_far(splits, tmp_path):
    config = _config(
        epochs=20,
        debug={"overfit_batches": 1},
        optimizer={"name": "adam", "learning_rate": 0.03},
        schedule={"kind": "constant", "warmup_epochs": 0.0},
        checkpoint={"keep": 1},
    )
    task = Digits(filters=4, embedding=8, dropout=0.0)
    _, watch = _train(*limit(config, *splits), tmp_path, task)
    assert watch.evaluations[-1]["loss"] < 0.6 * watch.evaluations[0]["loss"]


def test_overfit_when_there_are_fewer_batches_then_names_the_key(splits):
    message = "train.debug.overfit_batches: found 11; allowed: at most 10, the batches"
    with pytest.raises(ValueError, match=re.escape(message)):
        limit(_config(debug={"overfit_batches": 11}), *splits)


class Peeking(Digits):
    """Notes whether a step can be looked into."""

    def __init__(self, **options: int) -> None:
        super().__init__(**options)
        self.seen: list[bool] = []

    def losses(self, outputs, features):
        self.seen.append(tf.executing_eagerly())
        return super().losses(outputs, features)


def test_eager_when_trained_then_every_step_is_plain_python_and_gives_the_same(splits, tmp_path):
    losses = {}
    for eager in (True, False):
        config = _config(epochs=1, debug={"eager": eager})
        _, train_split, eval_split = limit(_config(debug={"fast_dev_run": True}), *splits)
        task = Peeking(filters=4, embedding=8)
        _, watch = _train(config, train_split, eval_split, tmp_path / str(eager), task)
        losses[eager] = watch.evaluations[-1]["loss"]
        assert set(task.seen) == {eager}
        assert not tf.config.functions_run_eagerly(), "what comes after is as it was"
    assert losses[True] == pytest.approx(losses[False], rel=1e-5)


def test_eagerly_when_the_training_fails_then_functions_are_graphs_again():
    with pytest.raises(KeyError), eagerly(True):
        assert tf.config.functions_run_eagerly()
        raise KeyError
    assert not tf.config.functions_run_eagerly()


def test_eagerly_when_it_is_not_wanted_then_leaves_what_somebody_else_set():
    with eagerly(True):
        with eagerly(False):
            assert tf.config.functions_run_eagerly()
        assert tf.config.functions_run_eagerly()
