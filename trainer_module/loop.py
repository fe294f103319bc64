"""The training loop: N steps a call, an evaluation an epoch, checkpoints that resume exactly."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from trainer_module import debug, numerics, stopping, watchdog
from trainer_module.callbacks import Callback, Training
from trainer_module.checkpoint import Checkpoints, Host
from trainer_module.config import TrainConfig
from trainer_module.data import Augment, Split
from trainer_module.engine import Engine, build_engine
from trainer_module.runner import CallSizer, timed
from trainer_module.state import random_generators
from trainer_module.strategy import make_strategy, read_place
from trainer_module.tasks.base import Task
from trainer_module.warm_start import Weights

_ELSEWHERE = "another worker asked for it"

_NONE = -1.0
"""Step of a checkpoint that does not exist, among the numbers that workers agree on."""


@dataclass(frozen=True)
class TrainResult:
    """A trained model, its weights those of the best epoch, and what is worth saying of it.

    Attributes:
        stopped: why it ended before `total_steps`; None if it did not.
    """

    model: keras.Model
    best_step: int
    resumed_from: int
    last_step: int
    total_steps: int
    steps_per_epoch: int
    stopped: str | None


def train(
    task: Task,
    feature_spec: Mapping[str, Any],
    train_split: Split,
    eval_split: Split,
    config: TrainConfig,
    folder: str,
    callbacks: Sequence[Callback] = (),
    augment: Augment | None = None,
    strategy: tf.distribute.Strategy | None = None,
    initial: Weights | None = None,
) -> TrainResult:
    """Trains to the end, from the latest checkpoint in the folder if there is one.

    Args:
        feature_spec: of the transformed features, for the model's inputs.
        folder: of this configuration, code and data alone: a checkpoint that is found there is
            taken for an earlier part of this very training.
        augment: random change of the training batches.
        initial: weights to begin with, by variable name; None for the model's own.
        strategy: one that the process has already; None to make the configuration's.

    Raises:
        ValueError: if there are fewer rows than a batch, or the configuration names a metric, a
            head or a variable that does not exist.
        NonFiniteError: if the loss or a gradient is not finite; it says where that began.
        ExplosionError: if one passes the bound that is set; it says where.
        Interrupted: if SIGTERM came; the training is saved and goes on when it is called again.
    """
    steps_per_epoch = train_split.rows // config.batch_size
    if steps_per_epoch == 0:
        raise ValueError(
            f"train.batch_size: found {config.batch_size}; allowed: at most the "
            f"{train_split.rows} rows of the train split"
        )
    place = read_place(config)
    strategy = strategy or make_strategy(config)
    engine = build_engine(
        task, feature_spec, train_split, eval_split, config, strategy, place, augment, initial
    )
    training = Training(
        task=task,
        config=config,
        state=engine.state,
        train_split=train_split,
        eval_split=eval_split,
        feature_spec=feature_spec,
        folder=folder,
        is_chief=place.is_chief,
        total_steps=steps_per_epoch * config.epochs,
        steps_per_epoch=steps_per_epoch,
        augment=augment,
        names=tuple(engine.functions.evaluation_layout.names),
    )
    watching = [
        callback
        for callback in (*callbacks, *task.callbacks(folder))
        if place.is_chief or not callback.chief_only
    ]
    loop = _Loop(training, engine, watching)
    with debug.eagerly(config.debug.eager), strategy.scope():
        try:
            last_step = loop.run()
        except (stopping.Interrupted, numerics.BadStepError):
            # Every worker leaves for the same reason.
            engine.runner.part()
            raise
        # The chief has written by then what the others are about to read.
        engine.runner.wait_for_all()
        best_step = loop.checkpoints.restore_best()
        engine.runner.part()
    return TrainResult(
        model=engine.state.model,
        best_step=best_step,
        resumed_from=training.resumed_from,
        last_step=last_step,
        total_steps=training.total_steps,
        steps_per_epoch=steps_per_epoch,
        stopped=training.stopped,
    )


class _Loop:
    """One training, call by call."""

    def __init__(self, training: Training, engine: Engine, callbacks: Sequence[Callback]) -> None:
        config = training.config
        if config.best.metric not in training.names:
            raise ValueError(
                f"train.best.metric: found {config.best.metric!r}; "
                f"allowed: {', '.join(sorted(training.names))}"
            )
        self.checkpoints = Checkpoints(
            training.folder, engine.state, config.checkpoint.keep, training.is_chief
        )
        self._training = training
        self._engine = engine
        self._callbacks = callbacks
        self._sizer = CallSizer() if config.steps_per_call == "auto" else None
        self._best: float | None = None
        self._done = 0
        self._saved = 0
        self._owes_evaluation = False
        self._sums = np.zeros(engine.functions.train_layout.size)
        self._epoch_steps = 0

    def run(self) -> int:
        """Runs to the last step, or to where a callback stops it; returns that step."""
        self._restore()
        training = self._training
        with self._telling_callbacks():
            self._stop_together()
            if self._owes_evaluation:
                self._evaluate_and_save(leave=False)
            if self._done < training.total_steps and not training.stopped:
                self._engine.runner.begin(self._done, self._call_size)
            while self._done < training.total_steps and not training.stopped:
                self._call()
                stopping.listen()
        return self._done

    @contextlib.contextmanager
    def _telling_callbacks(self) -> Iterator[None]:
        """Tells callbacks of the begin, and those of the end that were told of the begin.

        All of them, whatever happens; the first error is the one to be known.
        """
        begun: list[Callback] = []
        first: BaseException | None = None
        try:
            for callback in self._callbacks:
                callback.on_train_begin(self._training)
                begun.append(callback)
            yield
        except BaseException as error:
            first = error
        stopping.forget()
        for callback in begun:
            try:
                callback.on_train_end(self._done)
            except Exception as error:
                first = first or error
        if first is not None:
            raise first

    def _stop_together(self) -> None:
        """Makes a stop that a callback asked for in one worker one of all."""
        (stop,) = self._engine.runner.agree(float(self._training.stopped is not None))
        if stop:
            self._training.stop(_ELSEWHERE)

    @property
    def _call_size(self) -> int:
        wanted = self._sizer.size if self._sizer else self._training.config.steps_per_call
        return min(wanted, self._training.steps_per_epoch)

    def _restore(self) -> None:
        host = self._restore_together()
        self._done = self._saved = int(self._engine.state.step.numpy())
        self._training.resumed_from = self._done
        watchdog.saved(self._done)
        if host is None:
            # What a search for the first bad step goes back to.
            self.checkpoints.save_latest(self._host())
            return
        self._best = host["best"]
        self._owes_evaluation = host["owes_evaluation"]
        self._sums = np.asarray(host["sums"])
        self._epoch_steps = host["epoch_steps"]
        self._training.stopped = host["stopped"]
        for name, callback in _named(self._callbacks).items():
            if name in host["callbacks"]:
                callback.restore(host["callbacks"][name])

    def _restore_together(self) -> Host | None:
        """Restores the checkpoint that the chief can read, in every worker.

        Left to themselves two workers could see another newest one: the chief goes on to write.
        """
        chief = self._training.is_chief
        host = self.checkpoints.restore_latest() if chief else None
        found = float(self._engine.state.step.numpy()) if host is not None else _NONE
        (found,) = self._engine.runner.agree(found if chief else 0.0)
        if not chief and found != _NONE:
            host = self.checkpoints.restore(int(found))
        self._engine.runner.wait_for_all()
        return host

    def _host(self) -> dict[str, Any]:
        """Returns what a checkpoint remembers besides tensors."""
        return {
            "best": self._best,
            "stopped": self._training.stopped,
            "owes_evaluation": self._owes_evaluation,
            "sums": self._sums.tolist(),
            "epoch_steps": self._epoch_steps,
            "callbacks": {name: c.state() for name, c in _named(self._callbacks).items()},
        }

    def _call(self) -> None:
        """Takes the steps of one call, and does what is due after them."""
        training, config = self._training, self._training.config
        steps_per_epoch = training.steps_per_epoch
        first = self._done
        n = min(self._call_size, steps_per_epoch - first % steps_per_epoch)
        vector, seconds = timed(lambda: self._engine.runner.train(n))
        self._done += n
        self._check_step()
        values = self._engine.functions.train_layout.read(vector, n)
        if config.callbacks.stop_on_nonfinite and not numerics.is_finite(values):
            raise numerics.locate(training, self._engine, self.checkpoints, first, n, values)
        self._sums += vector
        self._epoch_steps += n
        try:
            for callback in self._callbacks:
                callback.on_call_end(self._done, values)
        except numerics.ExplosionError as error:
            raise numerics.locate_explosion(
                training, self._engine, self.checkpoints, first, n, error
            ) from None

        stop, leave, seconds = self._engine.runner.agree(
            float(training.stopped is not None), float(stopping.stop_requested()), seconds
        )
        if stop:
            training.stop(_ELSEWHERE)
        self._owes_evaluation = self._done % steps_per_epoch == 0 or training.stopped is not None
        self._evaluate_and_save(bool(leave))
        resized = self._sizer is not None and self._sizer.measured(n, seconds)
        if resized and self._done < training.total_steps:
            self._engine.runner.begin(self._done, self._call_size)

    def _check_step(self) -> None:
        found = int(self._engine.state.step.numpy())
        if found != self._done:
            raise RuntimeError(f"the step counter is at {found} and should be at {self._done}")

    def _evaluate_and_save(self, leave: bool) -> None:
        """Does what is due between two calls.

        Args:
            leave: whether to save and leave: an evaluation is left to the rerun then.

        Raises:
            Interrupted: once it has saved, if it is to leave, or was asked to while it evaluated.
        """
        training, every = self._training, self._training.config.checkpoint.every_steps
        due = self._owes_evaluation
        if due and not leave:
            leave = not self._end_epoch()
        if due or leave or (every and self._done - self._saved >= every):
            self.checkpoints.save_latest(self._host())
            self._saved = self._done
            watchdog.saved(self._saved)
        ended = self._done == training.total_steps or training.stopped is not None
        if leave and (self._owes_evaluation or not ended):
            raise stopping.Interrupted(self._done)

    def _end_epoch(self) -> bool:
        """Evaluates, keeps the weights if they are the best, and tells the callbacks.

        Returns:
            Whether it came to the end of that: a request to stop breaks an evaluation off.
        """
        training, functions = self._training, self._engine.functions
        average = self._engine.state.average
        if average is not None:
            average.swap()
        drawn = self._generator_states()
        vector = self._engine.runner.evaluate(stopping.stop_requested)
        if vector is None:
            # The rerun evaluates from the start, and is to draw the same numbers.
            for variable, value in drawn:
                variable.assign(value)
        else:
            evaluation = functions.evaluation_layout.read(vector)
            self._keep_if_best(evaluation[training.config.best.metric])
        if average is not None:
            average.swap()
        if vector is None:
            return False
        self._owes_evaluation = False
        means = functions.train_layout.read(self._sums, self._epoch_steps)
        epoch = -(-self._done // training.steps_per_epoch)
        for callback in self._callbacks:
            callback.on_epoch_end(epoch, self._done, means, evaluation)
        self._stop_together()
        self._sums = np.zeros_like(self._sums)
        self._epoch_steps = 0
        return True

    def _generator_states(self) -> list[tuple[tf.Variable, tf.Tensor]]:
        """Returns where the model's random generators are, in each replica of this process."""
        local = tf.distribute.get_strategy().experimental_local_results
        generators = random_generators(self._engine.state.model)
        return [(v, tf.identity(v)) for one in generators for v in local(one.state)]

    def _keep_if_best(self, value: float) -> None:
        best = self._training.config.best
        if not math.isfinite(value):
            raise FloatingPointError(
                f"the eval metric {best.metric} is {value} at step {self._done}: its inputs, or "
                "the weights, are not finite"
            )
        sign = 1.0 if best.mode == "min" else -1.0
        if self._best is None or sign * value < sign * self._best:
            self.checkpoints.save_best()
            self._best = value


def _named(callbacks: Sequence[Callback]) -> dict[str, Callback]:
    """Returns callbacks by their class; further ones of a class are numbered."""
    found: dict[str, Callback] = {}
    for callback in callbacks:
        name = f"{type(callback).__module__}.{type(callback).__qualname__}"
        same = sum(type(other) is type(callback) for other in found.values())
        found[f"{name}.{same}" if same else name] = callback
    return found
