"""How the loop's calls reach the devices of a strategy."""

from __future__ import annotations

import abc
import contextlib
import gc
import time
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from trainer_module import watchdog
from trainer_module.config import TrainConfig
from trainer_module.data import Augment, Plan, Share, Split, plan_calls
from trainer_module.step import StepFunctions
from trainer_module.strategy import Place, share_of
from trainer_module.trace_guard import TraceGuard

_EVALUATION_CALL = 50
"""Batches of an evaluation in one call."""

_HORIZON = 100_000
"""Steps that are planned ahead, up to the end of their epoch: a plan takes memory."""


class Runner(abc.ABC):
    """Takes steps and evaluates, wherever that happens."""

    @abc.abstractmethod
    def begin(self, step: int, steps_per_call: int) -> None:
        """Sets up the batches from a step on, in calls of `steps_per_call`."""

    @abc.abstractmethod
    def train(self, steps: int) -> np.ndarray:
        """Takes the steps of the next call; returns the sum of their vectors."""

    @abc.abstractmethod
    def evaluate(self, leave: Callable[[], bool] = lambda: False) -> np.ndarray | None:
        """Evaluates all rows; returns the sum of their vectors, float64.

        Args:
            leave: asked between calls; if it says so in any worker, all break off, and None is
                returned.
        """

    def agree(self, *numbers: float) -> tuple[float, ...]:
        """Returns the sum of each number over the workers: what they decide by is the same."""
        return numbers

    def wait_for_all(self) -> None:
        """Returns once every worker has come here."""
        self.agree(0.0)

    def part(self) -> None:
        """Lets the others finish with this worker, before it goes.

        In an operation of all, one worker can be through while another still reads from it. Here
        that does no harm: who comes here needs nothing more of the others.
        """
        with contextlib.suppress(tf.errors.OpError):
            self.wait_for_all()


def plan_until(step: int, steps_per_epoch: int) -> int:
    """Returns the step that calls from `step` on are planned to, the end of an epoch."""
    return -(-(step + _HORIZON) // steps_per_epoch) * steps_per_epoch


class SynchronousRunner(Runner):
    """Runs every call on all replicas together: default, mirrored, multi-worker and TPU.

    Args:
        total_steps: of the whole training.
    """

    def __init__(
        self,
        functions: StepFunctions,
        strategy: tf.distribute.Strategy,
        place: Place,
        config: TrainConfig,
        train_split: Split,
        eval_split: Split,
        total_steps: int,
        augment: Augment | None,
    ) -> None:
        self._functions = functions
        self._strategy = strategy
        self._place = place
        self._config = config
        self._train_split = train_split
        self._eval_batches = -(-eval_split.rows // config.eval_batch_size)
        self._total_steps = total_steps
        self._augment = augment
        self._iterator: Iterator | None = None
        self._step = self._planned = self._steps_per_call = 0
        self._train = TraceGuard(functions.train, "train")
        self._evaluate = TraceGuard(functions.evaluate, "evaluate")
        self._evaluation = self._distribute(
            lambda share: eval_split.evaluation(config.eval_batch_size, share)
        )

    def begin(self, step: int, steps_per_call: int) -> None:
        steps_per_epoch = self._train_split.rows // self._config.batch_size
        until = min(plan_until(step, steps_per_epoch), self._total_steps)
        config = self._config
        calls = plan_calls(step, until, steps_per_epoch, steps_per_call)
        plan = Plan(calls, steps_per_call, config.batch_size, config.seed, self._augment)
        self._planned = calls[-1].start + calls[-1].steps
        self._step, self._steps_per_call = step, steps_per_call

        def batches(share: Share) -> tf.data.Dataset:
            # One trace serves calls of every length.
            return self._train_split.training(plan, share).map(_forget_steps)

        self._iterator = iter(self._distribute(batches))

    def train(self, steps: int) -> np.ndarray:
        if self._step == self._planned:
            self.begin(self._step, self._steps_per_call)
        vector = self._train(self._iterator, tf.constant(steps)).numpy()
        watchdog.beat(trained=True)
        self._step += steps
        return vector.astype(np.float64)

    def evaluate(self, leave: Callable[[], bool] = lambda: False) -> np.ndarray | None:
        iterator = iter(self._evaluation)
        total = 0.0
        done = 0
        while done < self._eval_batches:
            if self.agree(float(leave()))[0]:
                return None
            n = min(_EVALUATION_CALL, self._eval_batches - done)
            total = total + self._evaluate(iterator, tf.constant(n)).numpy().astype(np.float64)
            done += n
            watchdog.beat()
        if self._place.workers > 1:
            self._collect_garbage()
        return np.asarray(total)

    def agree(self, *numbers: float) -> tuple[float, ...]:
        if self._place.workers == 1:
            return numbers
        return tuple(self._sum_over_workers(tf.constant(numbers, tf.float64)).numpy().tolist())

    def _collect_garbage(self) -> None:
        """Collects garbage here alone, where all workers are between two calls.

        What a collection destroys may wait for the other workers, half a minute has been seen; and
        these wait for this one if it comes in the middle of a call.
        """
        gc.collect()
        if gc.isenabled():
            gc.disable()
            # What lives now lives to the end: the next collections need not look at it.
            gc.freeze()

    @tf.function
    def _sum_over_workers(self, numbers: tf.Tensor) -> tf.Tensor:
        replicas = self._strategy.num_replicas_in_sync // self._place.workers
        per_replica = self._strategy.run(tf.identity, args=(numbers,))
        total = self._strategy.reduce(tf.distribute.ReduceOp.SUM, per_replica, axis=None)
        return total / replicas

    def _distribute(self, make: Callable[[Share], tf.data.Dataset]) -> tf.data.Dataset:
        """Hands consecutive elements to the replicas; a single one takes them as they are."""
        if self._strategy.num_replicas_in_sync == 1:
            return make(Share())
        workers = self._place.workers
        return self._strategy.distribute_datasets_from_function(
            lambda context: make(share_of(self._strategy, context.input_pipeline_id, workers))
        )


def _forget_steps(features: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Returns features [steps, b, ...] with the number of steps unknown to the graph."""
    return {
        name: tf.compat.v1.placeholder_with_default(value, [None, *value.shape[1:]])
        for name, value in features.items()
    }


class CallSizer:
    """Chooses how many steps a call takes, by measuring calls of the training itself.

    Grows as long as a longer call is faster by 3% a step or more, and stays below a second a call,
    so that the training answers. What it chooses changes no result: a call is a grouping of steps.
    """

    _SIZES = (1, 2, 5, 10, 20, 50, 100, 200)
    _GAIN = 1.03
    _LONGEST = 1.0

    def __init__(self) -> None:
        self._place = 0
        self._calls = 0
        self._best = 0.0
        self.settled = False

    @property
    def size(self) -> int:
        return self._SIZES[self._place]

    def measured(self, steps: int, seconds: float) -> bool:
        """Takes the time of a call; says whether the size changes.

        The first call of a size warms up, and counts not.
        """
        if self.settled or steps < self.size:
            return False
        self._calls += 1
        if self._calls < 2:
            return False
        self._calls = 0
        speed = steps / seconds
        if speed < self._best * self._GAIN:
            self.settled = True
            self._place -= 1
            return True
        self._best = speed
        longer = self._place + 1
        if longer == len(self._SIZES) or self._SIZES[longer] / speed > self._LONGEST:
            self.settled = True
            return False
        self._place = longer
        return True


def timed(function: Callable[[], np.ndarray]) -> tuple[np.ndarray, float]:
    """Returns what a function returns, and the seconds that it took."""
    began = time.perf_counter()
    return function(), time.perf_counter() - began
