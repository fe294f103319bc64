"""The loop on one device: calls, epochs, evaluation, the best epoch, and what it refuses."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip
import tf_keras as keras  # isort: skip

from trainer_module import loop  # isort: skip
from trainer_module.callbacks import Callback, Training, Values  # isort: skip
from trainer_module.engine import Engine, build_engine  # isort: skip
from trainer_module.runner import SynchronousRunner  # isort: skip
from trainer_module.tasks.base import Task  # isort: skip
from trainer_module.tasks.digits import Digits  # isort: skip

SLOW = {"optimizer": {"name": "sgd", "learning_rate": 0.01, "momentum": 0.0}}


@pytest.fixture(scope="module")
def dropping() -> type[Task]:
    """The full digits task, small: what is drawn in its dropout has to be repeatable too."""

    class Small(Digits):
        def __init__(self) -> None:
            super().__init__(filters=4, embedding=8)

    return Small


@pytest.fixture(scope="module")
def trained(train_small, dropping) -> Any:
    """Two epochs of ten steps, in calls of four."""
    return train_small(task=dropping())


def test_train_when_it_ends_then_has_learned(trained):
    losses = [evaluation["loss"] for *_, evaluation in trained.record.epochs]
    assert losses[1] < losses[0]


def test_train_when_steps_per_call_does_not_divide_the_epoch_then_the_last_call_is_shorter(trained):
    assert [step for step, _ in trained.record.calls] == [4, 8, 10, 14, 18, 20]
    assert [(epoch, step) for epoch, step, *_ in trained.record.epochs] == [(1, 10), (2, 20)]
    assert trained.record.ended == 20
    result = trained.result
    assert (result.total_steps, result.last_step, result.steps_per_epoch) == (20, 20, 10)
    assert (result.resumed_from, result.stopped) == (0, None)


def test_train_when_a_call_takes_one_step_or_several_then_the_weights_are_the_same_bits(
    train_small, dropping, trained
):
    one_by_one = train_small(task=dropping(), steps_per_call=1)
    assert len(one_by_one.record.calls) == 20
    assert one_by_one.bits == trained.bits


def test_train_when_steps_per_call_is_auto_then_grows_and_gives_the_same_bits(
    train_small, dropping, trained, monkeypatch
):
    """Every call is made to take as long: the longer, the faster a step."""
    monkeypatch.setattr(loop, "timed", lambda function: (function(), 0.05))
    chosen = train_small(task=dropping(), steps_per_call="auto")
    assert [step for step, _ in chosen.record.calls] == [1, 2, 4, 6, 10, 15, 20]
    assert chosen.bits == trained.bits


def test_train_when_a_call_is_longer_than_an_epoch_then_fetches_an_epoch(
    train_small, dropping, trained, monkeypatch
):
    fetched = []
    begin = SynchronousRunner.begin

    def begin_and_tell(self: SynchronousRunner, step: int, steps_per_call: int) -> None:
        fetched.append(steps_per_call)
        begin(self, step, steps_per_call)

    monkeypatch.setattr(SynchronousRunner, "begin", begin_and_tell)
    long = train_small(task=dropping(), steps_per_call=500)
    assert fetched == [10]
    assert [step for step, _ in long.record.calls] == [10, 20]
    assert long.bits == trained.bits


def test_train_when_something_ran_in_the_process_before_then_gives_the_same_bits(
    train_small, dropping, trained
):
    keras.Sequential([keras.layers.Dense(3), keras.layers.Dropout(0.5)])(tf.ones([2, 2]))
    tf.random.normal([3])
    assert train_small(task=dropping()).bits == trained.bits


def test_train_when_an_epoch_ends_then_reports_the_means_over_its_steps(trained):
    for _, step, means, _ in trained.record.epochs:
        calls = [(at, values) for at, values in trained.record.calls if step - 10 < at <= step]
        starts = [step - 10, *(at for at, _ in calls)]
        lengths = np.diff(starts)
        for name, mean in means.items():
            expected = np.average([values[name] for _, values in calls], weights=lengths)
            np.testing.assert_allclose(mean, expected, rtol=1e-5, err_msg=name)


def test_train_when_it_reports_then_names_each_loss_and_metric_of_each_head(trained):
    evaluated = {"loss", "loss/class", "loss/attribute", "class/accuracy", "attribute/mae"}
    _, _, means, evaluation = trained.record.epochs[0]
    assert evaluation.keys() == evaluated
    assert means.keys() == evaluated | {"gradient_norm", "learning_rate"}
    assert trained.record.calls[0][1].keys() == means.keys()


@pytest.mark.parametrize("eval_batch_size", [64, 512])
def test_evaluation_when_the_batch_does_not_divide_the_rows_then_counts_each_row_once(
    train_small, eval_rows, eval_batch_size
):
    found = train_small(epochs=1, eval_batch_size=eval_batch_size)
    outputs = found.result.model(eval_rows["image"])
    labels, attributes = eval_rows["class"], eval_rows["attribute"]
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    expected = {
        "loss/class": float(cross_entropy(labels, outputs["class"])),
        "loss/attribute": np.mean((attributes - outputs["attribute"]) ** 2),
        "class/accuracy": np.mean(np.argmax(outputs["class"], -1) == labels),
        "attribute/mae": np.mean(np.abs(attributes - outputs["attribute"])),
    }
    expected["loss"] = expected["loss/class"] + 0.5 * expected["loss/attribute"]
    evaluation = found.record.epochs[0][3]
    assert evaluation.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(evaluation[name], value, rtol=1e-5, err_msg=name)


@pytest.mark.parametrize("mode", ["min", "max"])
def test_train_when_it_ends_then_the_model_is_that_of_the_best_epoch(train_small, eval_rows, mode):
    """By 'max' the worst loss counts as best, which is that of the first epoch."""
    found = train_small(best={"metric": "loss/class", "mode": mode}, **SLOW)
    values = [evaluation["loss/class"] for *_, evaluation in found.record.epochs]
    assert values[1] < values[0]
    best = 1 if mode == "min" else 0
    assert found.result.best_step == 10 * (best + 1)
    logits = found.result.model(eval_rows["image"])["class"]
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    np.testing.assert_allclose(cross_entropy(eval_rows["class"], logits), values[best], rtol=1e-5)


class Stop(Callback):
    """Stops the training at a step, and counts the calls that it saw over all runs."""

    def __init__(self, at: int | None = None) -> None:
        self._at = at
        self.seen = 0

    def on_train_begin(self, training: Training) -> None:
        self._training = training

    def on_call_end(self, step: int, values: Values) -> None:
        self.seen += 1
        if step == self._at:
            self._training.stop("enough")

    def state(self) -> dict[str, Any]:
        return {"seen": self.seen}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.seen = state["seen"]


@pytest.fixture(scope="module")
def stopped(train_small) -> Any:
    """Stopped after 14 of 20 steps: in the second epoch."""
    return train_small(callbacks=[Stop(at=14), Stop()], **SLOW)


def test_train_when_a_callback_stops_it_then_evaluates_saves_and_says_why(stopped):
    result = stopped.result
    assert (result.last_step, result.stopped) == (14, "enough")
    assert [(epoch, step) for epoch, step, *_ in stopped.record.epochs] == [(1, 10), (2, 14)]
    assert result.best_step == 14, "it was still learning"


def test_train_when_it_was_stopped_and_is_run_again_then_stays_stopped(train_small, stopped):
    again = train_small(stopped.folder, callbacks=[Stop(), Stop()], **SLOW)
    assert (again.result.last_step, again.result.stopped) == (14, "enough")
    assert (again.record.calls, again.record.epochs) == ([], [])
    assert again.bits == stopped.bits


def test_train_when_run_again_after_its_end_then_trains_no_more(train_small, dropping, trained):
    again = train_small(trained.folder, task=dropping())
    assert (again.result.resumed_from, again.record.ended) == (20, 20)
    assert (again.record.calls, again.record.epochs) == ([], [])
    assert again.result.best_step == trained.result.best_step
    assert again.bits == trained.bits


def test_callbacks_when_two_are_of_a_class_then_each_has_its_own_state_again(train_small, tmp_path):
    first, second = Stop(), Stop()
    second.seen = 100
    train_small(tmp_path, epochs=1, callbacks=[first, second])
    resumed = Stop(), Stop()
    train_small(tmp_path, epochs=1, callbacks=resumed)
    assert (first.seen, second.seen) == (3, 103)
    assert [callback.seen for callback in resumed] == [3, 103]


def test_train_when_resumed_then_knows_the_best_epoch_so_far(train_small, tmp_path):
    """The first epoch has the worst loss, which counts as best, and no later one passes it."""
    worst = {"best": {"metric": "loss", "mode": "max"}, **SLOW}
    train_small(tmp_path, epochs=1, **worst)
    resumed = train_small(tmp_path, **worst)
    assert (resumed.result.resumed_from, resumed.result.best_step) == (10, 10)


def test_train_when_there_are_fewer_rows_than_a_batch_then_names_both_numbers(
    train_small, train_rows
):
    few = {name: values[:31] for name, values in train_rows.items()}
    with pytest.raises(ValueError, match=r"train\.batch_size: found 32; .* 31 rows"):
        train_small(rows=few)


def test_train_when_the_best_metric_is_unknown_then_lists_those_that_exist(train_small, tmp_path):
    allowed = "attribute/mae, class/accuracy, loss, loss/attribute, loss/class"
    with pytest.raises(ValueError, match=re.escape(f"'class/f1'; allowed: {allowed}")):
        train_small(tmp_path, best={"metric": "class/f1", "mode": "max"})
    assert not list(tmp_path.iterdir()), "nothing was trained"


def test_train_when_the_loss_is_not_finite_then_stops_within_the_call(
    train_small, train_rows, tmp_path
):
    image = np.where(train_rows["class"][:, None, None, None] == 3, np.nan, train_rows["image"])
    broken = {**train_rows, "image": image.astype(np.float32)}
    with pytest.raises(FloatingPointError):
        train_small(tmp_path, rows=broken)
    assert [path.name for path in (tmp_path / "latest").iterdir()] == ["step-0000000000"]


def test_train_when_the_evaluation_is_not_finite_then_says_at_which_step(train_small, eval_rows):
    """A metric that is nan is no better and no worse: no epoch could be the best."""
    broken = {**eval_rows, "image": np.full_like(eval_rows["image"], np.nan)}
    with pytest.raises(FloatingPointError, match=r"eval metric loss is nan at step 10"):
        train_small(held_out=broken)


def test_train_when_a_call_takes_another_number_of_steps_than_asked_then_stops(
    train_small, monkeypatch
):
    def forgetful(*args: Any) -> Engine:
        engine = build_engine(*args)
        train = engine.runner.train

        def one_step_short(steps: int) -> np.ndarray:
            vector = train(steps)
            engine.state.step.assign_sub(1)
            return vector

        monkeypatch.setattr(engine.runner, "train", one_step_short)
        return engine

    monkeypatch.setattr(loop, "build_engine", forgetful)
    with pytest.raises(RuntimeError, match=r"at 3 and should be at 4"):
        train_small()


@pytest.mark.parametrize(("meeting", "fails"), [(2, True), (3, False)])
def test_train_when_another_worker_is_gone_then_fails_unless_all_had_come_to_the_end(
    train_small, monkeypatch, meeting, fails
):
    """One that is through with the last meeting may leave while another is still in it."""
    meetings = 0

    def meet(self: SynchronousRunner) -> None:
        nonlocal meetings
        meetings += 1
        if meetings == meeting:
            raise tf.errors.UnavailableError(None, None, "Socket closed")

    monkeypatch.setattr(SynchronousRunner, "wait_for_all", meet)
    if fails:
        with pytest.raises(tf.errors.UnavailableError):
            train_small()
    else:
        assert train_small().result.last_step == 20
    assert meetings == meeting


def test_train_when_another_worker_stops_at_an_epochs_end_then_stops_with_it(
    train_small, monkeypatch
):
    """Left alone this one would take a step that the other never comes to."""
    ended = []

    class Ended(Callback):
        def on_epoch_end(self, epoch: int, step: int, train: Values, evaluation: Values) -> None:
            ended.append(step)

    def sum_with_other(self: SynchronousRunner, *numbers: float) -> tuple[float, ...]:
        return (numbers[0] + 1.0, *numbers[1:]) if ended else numbers

    monkeypatch.setattr(SynchronousRunner, "agree", sum_with_other)
    result = train_small(callbacks=[Ended()]).result
    assert (result.last_step, result.stopped) == (10, "another worker asked for it")
    assert ended == [10]


class Tells(Callback):
    """Notes the hooks that it is told of, and fails in some."""

    def __init__(self, name: str, told: list[str], fails: Sequence[str] = ()) -> None:
        self._name, self._told, self._fails = name, told, fails

    def _note(self, hook: str) -> None:
        self._told.append(f"{self._name} {hook}")
        if hook in self._fails:
            raise ValueError(f"{self._name} {hook}")

    def on_train_begin(self, training: Training) -> None:
        self._note("begin")

    def on_train_end(self, step: int) -> None:
        self._note("end")


@pytest.mark.parametrize(
    ("fails", "error", "expected"),
    [
        ({"b": ["begin"]}, "b begin", ["a begin", "b begin", "a end"]),
        ({"b": ["begin"], "a": ["end"]}, "b begin", ["a begin", "b begin", "a end"]),
        ({"a": ["end"]}, "a end", ["a begin", "b begin", "a end", "b end"]),
    ],
    ids=["begin", "begin, then end", "end"],
)
def test_callbacks_when_one_fails_then_the_others_are_told_of_the_end_and_the_first_error_counts(
    train_small, fails, error, expected
):
    told: list[str] = []
    callbacks = [Tells(name, told, fails.get(name, ())) for name in ("a", "b")]
    with pytest.raises(ValueError, match=f"^{error}$"):
        train_small(callbacks=callbacks, epochs=1)
    assert told == expected
