"""What TensorBoard shows of a training, and when it is written."""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np
import tensorflow as tf
from tensorboard.plugins.hparams import api as hparams

from trainer_module.callbacks.base import Callback, Training, Values
from trainer_module.callbacks.events import EventWriter
from trainer_module.callbacks.layer_report import without_norms
from trainer_module.config import TensorBoardConfig, TrainConfig
from trainer_module.objective import is_norm
from trainer_module.optimizers import variable_name


class TensorBoard(Callback):
    """Writes training means a call and evaluations an epoch, and what else is asked for.

    Runs of the folder: `train`, `eval`, and `graph` where one is asked for. Of a training that
    resumes, what was written after its checkpoint is void.
    """

    chief_only = True

    def __init__(self, folder: str, config: TensorBoardConfig | None = None) -> None:
        self._folder = folder
        self._config = config or TensorBoardConfig()
        self._training: Training
        self._writers: list[EventWriter] = []
        self._has_report = False
        self._traces = False
        self._profiles = False
        self._profile_is_due = False
        self._step = 0
        self._longest_call = 1

    def on_train_begin(self, training: Training) -> None:
        self._training = training
        self._has_report = training.config.debug.layer_report
        begin = training.resumed_from
        images = first_images(training, self._config.images) if self._config.images else {}
        self._train, self._eval = self._writers = [
            EventWriter(os.path.join(self._folder, name), begin) for name in ("train", "eval")
        ]
        if begin == 0:
            self._eval.summary(0, hparams.hparams_pb(flatten(training.config)))
            for name, pictures in images.items():
                self._train.images(0, f"first_batch/{name}", pictures)
        if self._config.graph and begin == 0:
            tf.summary.trace_on(graph=True, profiler=False)
            self._traces = True
        self._step = begin
        window = self._config.profile
        self._profile_is_due = window is not None and begin < window[1]
        self._profile(begin)

    def on_call_end(self, step: int, values: Values) -> None:
        self._train.scalars(step, without_norms(values) if self._has_report else values)
        if self._traces:
            self._write_graph()
        self._longest_call = max(self._longest_call, step - self._step)
        self._step = step
        self._profile(step)

    def on_epoch_end(self, epoch: int, step: int, train: Values, evaluation: Values) -> None:
        self._eval.scalars(step, evaluation)
        if self._has_report:
            report = {name: value for name, value in train.items() if is_norm(name)}
            self._train.scalars(step, report)
        if self._config.histograms:
            self._write_histograms(step)
        for writer in self._writers:
            writer.flush()

    def on_train_end(self, step: int) -> None:
        if self._profiles:
            self._stop_profile()
        if self._traces:
            tf.summary.trace_off()
            self._traces = False
        for writer in self._writers:
            writer.close()
        self._writers = []

    def _write_histograms(self, step: int) -> None:
        state = self._training.state
        for weight in state.model.trainable_weights:
            self._train.histogram(step, f"weights/{variable_name(weight)}", weight.numpy())
        for player, gradients in zip(state.players, state.last_gradients, strict=True):
            for target, gradient in zip(player.optimizer.targets, gradients, strict=True):
                name = f"gradients/{variable_name(target)}"
                self._train.histogram(step, name, gradient.numpy())

    def _write_graph(self) -> None:
        """Writes the graphs that the first call ran, as a run of their own."""
        self._traces = False
        writer = tf.summary.create_file_writer(os.path.join(self._folder, "graph"))
        with writer.as_default(0):
            tf.summary.trace_export("train")
        writer.close()

    def _profile(self, step: int) -> None:
        """Starts the profiler before the call that takes the window's first step, or stops it.

        Only boundaries of calls are seen: it runs for whole calls, one at least, and once. Where
        a call was longer than expected, the window's first step is past: it runs for the next.
        """
        window = self._config.profile
        if not window:
            return
        if self._profiles and step >= window[1]:
            self._stop_profile()
        elif self._profile_is_due and window[0] < self._next_boundary(step):
            tf.profiler.experimental.start(os.path.join(self._folder, "train"))
            self._profiles, self._profile_is_due = True, False

    def _next_boundary(self, step: int) -> int:
        """Returns the step that the next call ends at; under `auto`, if as long as any yet."""
        training = self._training
        size = training.config.steps_per_call
        if size == "auto":
            size = self._longest_call
        left = training.steps_per_epoch - step % training.steps_per_epoch
        return min(step + min(size, left), training.total_steps)

    def _stop_profile(self) -> None:
        tf.profiler.experimental.stop()
        self._profiles = False


def first_images(training: Training, count: int) -> dict[str, np.ndarray]:
    """Returns up to `count` pictures of each image feature, as the first step sees them.

    Returns:
        [n, height, width, channels] uint8 a feature. Floats of which one is outside 0 to 1 are
        stretched to their range.

    Raises:
        ValueError: if no feature is an image: rank 4, with 1, 3 or 4 channels.
    """
    found = {name: values[:count] for name, values in training.read_batch(0).items()}
    images = {
        name: _as_pixels(values)
        for name, values in found.items()
        if values.ndim == 4 and values.shape[-1] in (1, 3, 4) and values.dtype.kind in "fu"
    }
    if not images:
        shapes = ", ".join(f"{name} {values.shape[1:]}" for name, values in found.items())
        raise ValueError(
            f"train.callbacks.tensorboard.images: found {count}; allowed: 0, as no feature has "
            f"the shape of an image (height, width, 1, 3 or 4): {shapes}"
        )
    return images


def _as_pixels(values: np.ndarray) -> np.ndarray:
    if values.dtype == np.uint8:
        return values
    low, high = float(values.min()), float(values.max())
    if low < 0.0 or high > 1.0:
        values = (values - low) / (high - low)
    return np.round(values * 255.0).astype(np.uint8)


def flatten(config: TrainConfig) -> dict[str, Any]:
    """Returns hyperparameters by dotted key; lists as JSON; what is null is left out."""
    flat: dict[str, Any] = {}

    def visit(prefix: str, value: Any) -> None:
        if isinstance(value, dict) and value:
            for key, inner in value.items():
                visit(f"{prefix}.{key}" if prefix else str(key), inner)
        elif isinstance(value, (bool, int, float, str)):
            flat[prefix] = value
        elif value:
            flat[prefix] = json.dumps(value)

    visit("", config.model_dump(mode="json", exclude={"callbacks", "debug"}))
    return flat
