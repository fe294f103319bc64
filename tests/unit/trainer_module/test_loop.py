"""The loop on one device: calls, epochs, evaluation, the best epoch, and what it refuses."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip
import tf_keras as keras  # isort: skip

from trainer_module import loop  # isort: skip
from trainer_module.callbacks import Callback  # isort: skip
from trainer_module.config import BestConfig, OptimizerConfig, TrainConfig  # isort: skip
from trainer_module.loop import TrainResult, train  # isort: skip
from trainer_module.step import StepFunctions, build_step_functions  # isort: skip
from trainer_module.tasks.digits import Digits  # isort: skip

Rows = dict[str, np.ndarray]


class Recorder(Callback):
    """Keeps what the loop says."""

    def __init__(self) -> None:
        self.began: tuple[int, int, int] | None = None
        self.calls: list[tuple[int, dict[str, float]]] = []
        self.epochs: list[tuple[int, int, dict[str, float], dict[str, float]]] = []
        self.ended: int | None = None

    def on_train_begin(self, step: int, total_steps: int, steps_per_epoch: int) -> None:
        self.began = (step, total_steps, steps_per_epoch)

    def on_call_end(self, step: int, values: Mapping[str, float]) -> None:
        self.calls.append((step, dict(values)))

    def on_epoch_end(self, epoch: int, step: int, train: Mapping, evaluation: Mapping) -> None:
        self.epochs.append((epoch, step, dict(train), dict(evaluation)))

    def on_train_end(self, step: int) -> None:
        self.ended = step


def _config(**changes: object) -> TrainConfig:
    config = {
        "epochs": 3,
        "batch_size": 32,
        "eval_batch_size": 64,
        "steps_per_call": 4,
        "optimizer": OptimizerConfig(learning_rate=0.003),
    }
    return TrainConfig(**(config | changes))


Run = tuple[TrainResult, Recorder, Path]


@pytest.fixture(scope="module")
def run(
    tmp_path_factory: pytest.TempPathFactory, train_rows: Rows, eval_rows: Rows
) -> Callable[..., Run]:
    """Trains a small digits model, dropout on, in a folder of its own or in the one given."""

    def train_digits(folder: Path | None = None, rows: Rows = train_rows, **changes: object) -> Run:
        folder = folder or tmp_path_factory.mktemp("checkpoints")
        recorder = Recorder()
        task = Digits(filters=4, embedding=8)
        result = train(task, {}, rows, eval_rows, _config(**changes), str(folder), [recorder])
        return result, recorder, folder

    return train_digits


@pytest.fixture(scope="module")
def trained(run: Callable[..., Run]) -> Run:
    return run()


def test_train_when_it_ends_then_has_learned(trained):
    _, recorder, _ = trained
    losses = [evaluation["loss"] for _, _, _, evaluation in recorder.epochs]
    assert losses[2] < losses[0]


def test_train_when_steps_per_call_does_not_divide_the_epoch_then_the_last_call_is_shorter(trained):
    result, recorder, _ = trained
    assert [step for step, _ in recorder.calls] == [4, 8, 10, 14, 18, 20, 24, 28, 30]
    assert recorder.began == (0, 30, 10)
    assert recorder.ended == 30
    assert (result.total_steps, result.steps_per_epoch, result.resumed_from) == (30, 10, 0)


def test_train_when_checkpoints_fall_inside_calls_then_calls_end_at_them(run):
    _, recorder, folder = run(epochs=1, checkpoint_every_steps=3)
    assert [step for step, _ in recorder.calls] == [3, 6, 9, 10]
    checkpoints = tf.train.get_checkpoint_state(str(folder / "latest")).all_model_checkpoint_paths
    assert [Path(path).name for path in checkpoints] == ["ckpt-9", "ckpt-10"]


def test_train_when_a_call_takes_one_step_or_several_then_the_weights_are_the_same_bits(
    run, trained
):
    one_by_one, recorder, _ = run(steps_per_call=1)
    assert len(recorder.calls) == 30
    for ours, theirs in zip(
        one_by_one.model.get_weights(), trained[0].model.get_weights(), strict=True
    ):
        assert ours.tobytes() == theirs.tobytes()


def test_train_when_an_epoch_ends_then_reports_the_means_over_its_steps(run):
    _, recorder, _ = run(epochs=2, steps_per_call=3)
    for epoch, step, means, _ in recorder.epochs:
        assert step == epoch * 10
        calls = [(at, values) for at, values in recorder.calls if step - 10 < at <= step]
        lengths = np.diff([step - 10, *(at for at, _ in calls)])
        assert lengths.tolist() == [3, 3, 3, 1]
        for name, mean in means.items():
            expected = np.average([values[name] for _, values in calls], weights=lengths)
            np.testing.assert_allclose(mean, expected, rtol=1e-5)
    assert [epoch for epoch, _, _, _ in recorder.epochs] == [1, 2]


def test_train_when_it_reports_then_names_each_loss_and_metric_of_each_head(trained):
    _, recorder, _ = trained
    evaluated = {"loss", "loss/class", "loss/attribute", "class/accuracy", "attribute/mae"}
    assert recorder.epochs[0][3].keys() == evaluated
    assert recorder.epochs[0][2].keys() == evaluated | {"gradient_norm", "learning_rate"}
    assert recorder.calls[0][1].keys() == evaluated | {"gradient_norm", "learning_rate"}


@pytest.mark.parametrize("eval_batch_size", [64, 512])
def test_evaluation_when_the_batch_does_not_divide_the_rows_then_counts_each_row_once(
    run, eval_rows, eval_batch_size
):
    result, recorder, _ = run(epochs=1, eval_batch_size=eval_batch_size)
    outputs = result.model.predict(eval_rows["image"], batch_size=150, verbose=0)
    labels, attributes = eval_rows["class"], eval_rows["attribute"]
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    class_loss = float(cross_entropy(labels, outputs["class"]))
    attribute_loss = np.mean((attributes - outputs["attribute"]) ** 2)
    expected = {
        "loss": class_loss + 0.5 * attribute_loss,
        "loss/class": class_loss,
        "loss/attribute": attribute_loss,
        "class/accuracy": np.mean(outputs["class"].argmax(-1) == labels),
        "attribute/mae": np.mean(np.abs(attributes - outputs["attribute"])),
    }
    found = recorder.epochs[0][3]
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-5, err_msg=name)


def test_train_when_there_are_fewer_rows_than_a_batch_then_names_both_numbers(run, train_rows):
    few = {name: values[:31] for name, values in train_rows.items()}
    with pytest.raises(ValueError, match=r"train\.batch_size: found 32; .* 31 rows"):
        run(rows=few)


def test_train_when_the_best_metric_is_unknown_then_lists_those_that_exist(run):
    allowed = "attribute/mae, class/accuracy, loss, loss/attribute, loss/class"
    with pytest.raises(ValueError, match=re.escape(f"'class/f1'; allowed: {allowed}")):
        run(best=BestConfig(metric="class/f1", mode="max"))


@pytest.mark.parametrize("mode", ["min", "max"])
def test_train_when_it_ends_then_the_model_is_that_of_the_best_epoch(run, eval_rows, mode):
    """By 'max' the worst loss counts as best, which is that of an early epoch."""
    result, recorder, _ = run(best=BestConfig(metric="loss/class", mode=mode))
    values = [evaluation["loss/class"] for _, _, _, evaluation in recorder.epochs]
    best = int(np.argmin(values) if mode == "min" else np.argmax(values))
    assert result.best_step == 10 * (best + 1)
    assert (best == 2) == (mode == "min")
    logits = result.model.predict(eval_rows["image"], verbose=0)["class"]
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    np.testing.assert_allclose(cross_entropy(eval_rows["class"], logits), values[best], rtol=1e-5)


def test_train_when_the_loss_is_not_finite_then_stops_without_a_checkpoint(run, train_rows):
    broken = dict(train_rows)
    broken["image"] = np.where(broken["class"][:, None, None, None] == 3, np.nan, broken["image"])
    with pytest.raises(FloatingPointError, match=r"nan at step 10"):
        run(rows={**broken, "image": broken["image"].astype(np.float32)})


def test_train_when_run_again_after_its_end_then_trains_no_more(run, trained):
    first, _, folder = trained
    again, recorder, _ = run(folder)
    assert again.resumed_from == 30
    assert (recorder.began, recorder.ended) == ((30, 30, 10), 30)
    assert (recorder.calls, recorder.epochs) == ([], [])
    assert again.best_step == first.best_step
    for ours, theirs in zip(again.model.get_weights(), first.model.get_weights(), strict=True):
        assert ours.tobytes() == theirs.tobytes()


def test_train_when_something_ran_in_the_process_before_then_gives_the_same_bits(run, trained):
    keras.Sequential([keras.layers.Dense(3), keras.layers.Dropout(0.5)])(tf.ones([2, 2]))
    tf.random.normal([3])
    again, _, _ = run()
    for ours, theirs in zip(again.model.get_weights(), trained[0].model.get_weights(), strict=True):
        assert ours.tobytes() == theirs.tobytes()


def test_train_when_a_call_takes_another_number_of_steps_than_asked_then_stops(run, monkeypatch):
    def one_step_short(*args: object, **kwargs: object) -> StepFunctions:
        functions = build_step_functions(*args, **kwargs)
        return StepFunctions(lambda it, n: functions.train(it, n - 1), functions.evaluate)

    monkeypatch.setattr(loop, "build_step_functions", one_step_short)
    with pytest.raises(RuntimeError, match=r"at 3 and should be at 4"):
        run()


class Unnamed(Digits):
    """A task that leaves the naming of a layer to Keras."""

    def build_model(self, feature_spec: Mapping) -> keras.Model:
        model = super().build_model(feature_spec)
        logits = keras.layers.Dense(10)(model.output["embedding"])
        return keras.Model(model.input, {**model.output, "class": logits})


def test_train_when_run_twice_in_a_process_then_names_variables_the_same(
    train_rows, eval_rows, tmp_path
):
    names = []
    for folder in ("first", "second"):
        task = Unnamed(filters=4, embedding=8)
        config = _config(epochs=1)
        result = train(task, {}, train_rows, eval_rows, config, str(tmp_path / folder))
        names.append([variable.name for variable in result.model.variables])
    assert names[0] == names[1]
    assert "dense/kernel:0" in names[0]


class Incomplete(Digits):
    """A task whose model or serving lacks an output."""

    def __init__(self, lacks: str, **options: object) -> None:
        super().__init__(filters=4, embedding=8, **options)
        self._lacks = lacks

    def build_model(self, feature_spec: Mapping) -> keras.Model:
        model = super().build_model(feature_spec)
        outputs = {name: value for name, value in model.output.items() if name != self._lacks}
        return keras.Model(model.input, outputs)

    def serving_outputs(self, outputs: Mapping) -> dict[str, tf.Tensor]:
        served = super().serving_outputs(outputs)
        return {name: value for name, value in served.items() if name != self._lacks}


@pytest.mark.parametrize("lacks", ["embedding", "class"])
def test_train_when_the_model_lacks_an_output_then_names_those_expected(
    lacks, train_rows, eval_rows, tmp_path
):
    found = sorted({"attribute", "class", "embedding"} - {lacks})
    with pytest.raises(ValueError, match=re.escape(f"found {found}; expected a dict of")):
        train(Incomplete(lacks), {}, train_rows, eval_rows, _config(), str(tmp_path))


def test_train_when_serving_lacks_what_evaluation_compares_then_names_it(
    train_rows, eval_rows, tmp_path
):
    with pytest.raises(ValueError, match=r"serving_outputs: .*\['probabilities'\]"):
        task = Incomplete("probabilities")
        train(task, {}, train_rows, eval_rows, _config(), str(tmp_path))
