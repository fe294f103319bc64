"""SIGTERM: the training is saved and left, and goes on as if nothing had been."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import trainer_module  # before TensorFlow: it chooses the Keras

import tensorflow as tf  # isort: skip
import tf_keras as keras  # isort: skip

from trainer_module import stopping  # isort: skip
from trainer_module.callbacks import (  # isort: skip
    Callback,
    CsvLog,
    History,
    LayerReport,
)
from trainer_module.config import TrainConfig  # isort: skip
from trainer_module.data import MemorySplit, Share  # isort: skip
from trainer_module.loop import train  # isort: skip
from trainer_module.tasks.digits import Digits  # isort: skip

REPOSITORY = Path(trainer_module.__file__).resolve().parent.parent

# Ten steps an epoch; calls end at 4, 8, 10, 14, 18, 20.
CONFIG = {"epochs": 2, "batch_size": 32, "eval_batch_size": 150, "steps_per_call": 4}

# Says when it has taken its 14th step, and waits there for the signal.
CHILD = """
import json, sys, time
import trainer_module
import numpy as np
from trainer_module import stopping
from trainer_module.callbacks import Callback
from trainer_module.config import TrainConfig
from trainer_module.data import MemorySplit
from trainer_module.loop import train
from trainer_module.tasks.digits import Digits

class Wait(Callback):
    def on_train_begin(self, training):
        print("resumed from", training.resumed_from, flush=True)

    def on_call_end(self, step, values):
        if step == 14:
            print("ready", flush=True)
            while not stopping.stop_requested():
                time.sleep(0.01)

stopping.stop_on_sigterm()
config, data, folder, output = sys.argv[1:]
with np.load(data) as arrays:
    rows = {split: {name.partition(":")[2]: arrays[name] for name in arrays
                    if name.startswith(split)} for split in ("train", "eval")}
try:
    result = train(
        Digits(filters=4, embedding=8), {}, MemorySplit(rows["train"]), MemorySplit(rows["eval"]),
        TrainConfig.model_validate_json(config), folder, [Wait()],
    )
except stopping.Interrupted as interrupted:
    print(interrupted, flush=True)
    sys.exit(stopping.EXIT_CODE)
np.savez(output, *result.model.get_weights())
"""


@pytest.fixture
def child(tmp_path, train_rows, eval_rows):
    """Starts the training in a process of its own."""
    data = tmp_path / "digits.npz"
    arrays = {f"train:{name}": values for name, values in train_rows.items()}
    np.savez(data, **arrays, **{f"eval:{name}": values for name, values in eval_rows.items()})

    def start() -> subprocess.Popen:
        paths = [json.dumps(CONFIG), data, tmp_path / "training", tmp_path / "weights.npz"]
        return subprocess.Popen(
            [sys.executable, "-c", CHILD, *map(str, paths)],
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def _read_until(process: subprocess.Popen, wanted: str) -> None:
    for line in process.stdout:
        if line.strip() == wanted:
            return
    pytest.fail(process.stderr.read()[-3000:])


def _train(
    folder: Path, train_rows, held_out, callbacks=(), task: type[Digits] = Digits, **changes: Any
) -> Any:
    config = TrainConfig.model_validate(CONFIG | changes)
    held_out = held_out if isinstance(held_out, MemorySplit) else MemorySplit(held_out)
    model = task(filters=4, embedding=8)
    return train(model, {}, MemorySplit(train_rows), held_out, config, str(folder), callbacks)


def test_sigterm_when_it_comes_in_mid_epoch_then_a_rerun_gives_the_bits_of_one_run(
    child, tmp_path, train_rows, eval_rows
):
    process = child()
    _read_until(process, "ready")
    process.send_signal(signal.SIGTERM)
    rest, errors = process.communicate()
    assert process.returncode == stopping.EXIT_CODE == 143, errors[-3000:]
    assert rest.strip() == "stopped by SIGTERM and saved at step 14: run it again to go on"
    assert (tmp_path / "training" / "latest" / "step-0000000014").is_dir()
    assert not (tmp_path / "weights.npz").exists()

    again = child()
    output, errors = again.communicate()
    assert again.returncode == 0, errors[-3000:]
    assert output.splitlines() == ["resumed from 14"]
    expected = _train(tmp_path / "alone", train_rows, eval_rows).model.get_weights()
    with np.load(tmp_path / "weights.npz") as weights:
        for found, whole in zip(weights.values(), expected, strict=True):
            assert found.tobytes() == whole.tobytes()


class Request(Callback):
    """Asks to stop at the end of a call."""

    def __init__(self, step: int) -> None:
        self._step = step
        self.ended: int | None = None

    def on_call_end(self, step: int, values: Any) -> None:
        if step == self._step:
            stopping.request_stop()

    def on_train_end(self, step: int) -> None:
        self.ended = step


class Remember(Callback):
    """Has a state, which a checkpoint keeps; leaves before there is any work, if told to."""

    def __init__(self, value: int, leaves: bool = False) -> None:
        self.value = value
        self._leaves = leaves

    def on_train_begin(self, training: Any) -> None:
        if self._leaves:
            raise ConnectionAbortedError

    def state(self) -> dict[str, Any]:
        return {"value": self.value}

    def restore(self, state: Any) -> None:
        self.value = state["value"]


class AskWhileRead(MemorySplit):
    """Asks to stop when the 60th batch of an evaluation is read, which its second call does."""

    def evaluation(self, batch_size: int, share: Share) -> tf.data.Dataset:
        def ask(index: tf.Tensor, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            if index == 60:
                tf.py_function(stopping.request_stop, [], [])
            return batch

        return super().evaluation(batch_size, share).enumerate().map(ask)


class Means(Callback):
    """Keeps what each epoch reports."""

    def __init__(self) -> None:
        self.found: dict[int, tuple[dict[str, float], dict[str, float]]] = {}

    def on_epoch_end(self, epoch: int, step: int, train: Any, evaluation: Any) -> None:
        assert epoch not in self.found
        self.found[epoch] = dict(train), dict(evaluation)


class Doubting(Digits):
    """Drops units in an evaluation too: what it draws there has to be repeatable."""

    def build_model(self, feature_spec: Any) -> keras.Model:
        model = super().build_model(feature_spec)
        dropped = keras.layers.Dropout(0.3, name="doubt")(model.output["class"], training=True)
        return keras.Model(model.inputs, {**model.output, "class": dropped})


def test_request_when_it_comes_in_an_evaluation_then_leaves_and_the_rerun_evaluates(
    tmp_path, train_rows, eval_rows
):
    """An evaluation may take minutes, and who asks has seconds."""
    single = {"eval_batch_size": 1, "task": Doubting}
    expected, means = Means(), Means()
    whole = _train(tmp_path / "whole", train_rows, eval_rows, [expected], **single)
    for step in (10, 20):
        with pytest.raises(stopping.Interrupted, match=f"saved at step {step}:"):
            asking = AskWhileRead(eval_rows)
            _train(tmp_path / "left", train_rows, asking, [means], **single)
        assert len(means.found) == step // 10 - 1, "an evaluation that broke off reports nothing"
        if step == 10:
            assert not (tmp_path / "left" / "best").exists()
            with pytest.raises(stopping.Interrupted, match="saved at step 14"):
                _train(tmp_path / "left", train_rows, eval_rows, [means, Request(14)], **single)
    again = _train(tmp_path / "left", train_rows, eval_rows, [means], **single)
    assert (again.resumed_from, again.best_step) == (20, whole.best_step)
    assert means.found == expected.found, "means over the whole epoch, however often it was left"
    found = zip(again.model.get_weights(), whole.model.get_weights(), strict=True)
    assert all(ours.tobytes() == theirs.tobytes() for ours, theirs in found)


class Die(Callback):
    """Fails once those before it have heard of an epoch."""

    def on_epoch_end(self, epoch: int, step: int, train: Any, evaluation: Any) -> None:
        raise ConnectionAbortedError


def test_reports_when_an_owed_evaluation_fails_before_it_is_saved_then_have_each_step_once(
    tmp_path, train_rows, eval_rows
):
    single = {"eval_batch_size": 1, "debug": {"layer_report": True}}
    table, layers, lines = (tmp_path / name for name in ("log.csv", "layers.csv", "log.jsonl"))

    def run(held_out: Any, *others: Callback) -> None:
        reports = [History(str(lines)), CsvLog(str(table)), LayerReport(str(layers))]
        _train(tmp_path, train_rows, held_out, [*reports, *others], **single)

    with pytest.raises(stopping.Interrupted, match="saved at step 10:"):
        run(AskWhileRead(eval_rows))
    with pytest.raises(ConnectionAbortedError):
        run(eval_rows, Die())
    assert len(lines.read_text().splitlines()) == 1, "the step that the checkpoint owes"
    run(eval_rows)
    steps = [json.loads(line)["step"] for line in lines.read_text().splitlines()]
    assert steps == [10, 20]
    assert [row["step"] for row in _rows(table)] == ["10", "20"]
    names = [(row["step"], row["variable"]) for row in _rows(layers)]
    assert len(set(names)) == len(names), "each variable once a step"


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_request_when_it_comes_with_the_last_step_then_the_rerun_only_evaluates(
    tmp_path, train_rows, eval_rows
):
    request = Request(20)
    with pytest.raises(stopping.Interrupted, match="saved at step 20"):
        _train(tmp_path, train_rows, eval_rows, [request])
    assert request.ended == 20
    means = Means()
    result = _train(tmp_path, train_rows, eval_rows, [Request(20), means])
    assert (result.last_step, result.resumed_from, result.stopped) == (20, 20, None)
    assert list(means.found) == [2]


def test_request_when_a_call_has_ended_then_saves_there_and_tells_the_callbacks(
    tmp_path, train_rows, eval_rows
):
    request = Request(4)
    with pytest.raises(stopping.Interrupted, match="saved at step 4") as caught:
        _train(tmp_path, train_rows, eval_rows, [request, Remember(1), Remember(2)])
    assert caught.value.step == request.ended == 4
    assert not (tmp_path / "best").exists(), "it leaves without an evaluation"
    assert not stopping.stop_requested(), "an answered request is forgotten"
    again = [Remember(0), Remember(0, leaves=True)]
    with pytest.raises(ConnectionAbortedError):
        _train(tmp_path, train_rows, eval_rows, again)
    assert [callback.value for callback in again] == [1, 2], "two of a class are told apart"


@pytest.fixture
def handled():
    """SIGTERM is handled as a training's process does, and as before afterwards."""
    before = signal.getsignal(signal.SIGTERM)
    stopping.stop_on_sigterm()
    yield
    signal.signal(signal.SIGTERM, before)
    stopping.forget()


@pytest.mark.usefixtures("handled")
def test_sigterm_when_a_training_listens_then_is_a_request_until_it_is_forgotten():
    stopping.listen()
    assert not stopping.stop_requested()
    signal.raise_signal(signal.SIGTERM)
    assert stopping.stop_requested()
    stopping.forget()
    assert not stopping.stop_requested()


@pytest.mark.parametrize("first", ["", "stopping.listen(); stopping.forget(); "])
def test_sigterm_when_no_training_listens_then_ends_the_process(first):
    script = (
        "import signal; from trainer_module import stopping; stopping.stop_on_sigterm(); "
        f"{first}signal.raise_signal(signal.SIGTERM); print('alive')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (-signal.SIGTERM, "")
