"""What watches a training: small objects that the loop calls at the boundaries of its calls."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path

import tensorflow as tf

from trainer_module.progress import emit

Values = Mapping[str, float]


class Callback:
    """The hooks of the loop; a subclass implements those that it needs."""

    def on_train_begin(self, step: int, total_steps: int, steps_per_epoch: int) -> None:
        """`step` is above 0 when the training goes on from a checkpoint."""

    def on_call_end(self, step: int, values: Values) -> None:
        """After each call: means over the steps of that call."""

    def on_epoch_end(self, epoch: int, step: int, train: Values, evaluation: Values) -> None:
        """After each evaluation; `epoch` counts from 1.

        `train` holds means over the epoch's steps, those since the checkpoint if it resumed in it.
        """

    def on_train_end(self, step: int) -> None:
        """After the last step."""


class Progress(Callback):
    """Tells where the training is, at most every `interval` seconds and at each epoch's end."""

    def __init__(self, interval: float = 0.2) -> None:
        self._interval = interval
        self._last = 0.0
        self._first_step = 0
        self._began = 0.0
        self._total = 0
        self._steps_per_epoch = 1

    def on_train_begin(self, step: int, total_steps: int, steps_per_epoch: int) -> None:
        self._first_step, self._total, self._steps_per_epoch = step, total_steps, steps_per_epoch
        self._began = time.monotonic()
        emit("train_begin", step=step, total_steps=total_steps, steps_per_epoch=steps_per_epoch)

    def on_call_end(self, step: int, values: Values) -> None:
        now = time.monotonic()
        if now - self._last < self._interval:
            return
        self._last = now
        emit(
            "train_step",
            step=step,
            total_steps=self._total,
            epoch=-(-step // self._steps_per_epoch),
            steps_per_second=round((step - self._first_step) / (now - self._began), 1),
            values={name: round(value, 6) for name, value in values.items()},
        )

    def on_epoch_end(self, epoch: int, step: int, train: Values, evaluation: Values) -> None:
        emit("epoch_end", epoch=epoch, step=step, train=dict(train), eval=dict(evaluation))


class TensorBoard(Callback):
    """Writes scalars for TensorBoard: training means a call, evaluation an epoch.

    A training that resumes writes the steps since its checkpoint once more; TensorBoard shows the
    later values.
    """

    def __init__(self, folder: str) -> None:
        self._train = tf.summary.create_file_writer(os.path.join(folder, "train"))
        self._eval = tf.summary.create_file_writer(os.path.join(folder, "eval"))

    def on_call_end(self, step: int, values: Values) -> None:
        _write_scalars(self._train, step, values)

    def on_epoch_end(self, epoch: int, step: int, train: Values, evaluation: Values) -> None:
        _write_scalars(self._eval, step, evaluation)
        self._train.flush()
        self._eval.flush()

    def on_train_end(self, step: int) -> None:
        self._train.close()
        self._eval.close()


class History(Callback):
    """Keeps one JSON line an epoch in a file; a resumed training rewrites from where it resumes."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.epochs: list[dict[str, object]] = []

    def on_train_begin(self, step: int, total_steps: int, steps_per_epoch: int) -> None:
        if os.path.exists(self._path):
            lines = Path(self._path).read_text(encoding="utf-8").splitlines()
            epochs = [json.loads(line) for line in lines]
            self.epochs = [epoch for epoch in epochs if epoch["step"] <= step]

    def on_epoch_end(self, epoch: int, step: int, train: Values, evaluation: Values) -> None:
        self.epochs.append(
            {"epoch": epoch, "step": step, "train": dict(train), "eval": dict(evaluation)}
        )
        partial = Path(self._path + ".partial")
        partial.write_text("".join(json.dumps(line) + "\n" for line in self.epochs), "utf-8")
        os.replace(partial, self._path)


def _write_scalars(writer: tf.summary.SummaryWriter, step: int, values: Values) -> None:
    with writer.as_default(step):
        for name, value in values.items():
            tf.summary.scalar(name, value)
