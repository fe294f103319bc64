"""Asynchronous training: workers take steps on variables that parameter servers hold.

The coordinator, TF_CONFIG's chief, runs the loop. It cuts each call into one part a worker and
waits for all of them, so that at the end of a call the step is exact; within it the workers do not
wait for each other, hence no two runs give the same bits.
"""

from __future__ import annotations

import itertools
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from trainer_module import stopping, watchdog
from trainer_module.config import TrainConfig
from trainer_module.data import Augment, Call, Plan, Share, Split, plan_calls
from trainer_module.runner import Runner, plan_until
from trainer_module.state import TrainState
from trainer_module.step import StepFunctions
from trainer_module.strategy import Place

_POLL_SECONDS = 0.5
_FINISHED = "cluster-finished"


class CoordinatorRunner(Runner):
    """Schedules the parts of a call on the workers, and evaluates in this process.

    Each worker reads batches of its own, from a permutation that is drawn from (seed, number of
    the worker, epoch). A worker that dies leaves its part to the others.
    """

    def __init__(
        self,
        functions: StepFunctions,
        state: TrainState,
        strategy: tf.distribute.ParameterServerStrategy,
        workers: int,
        config: TrainConfig,
        train_split: Split,
        eval_split: Split,
        total_steps: int,
        augment: Augment | None,
    ) -> None:
        self._state = state
        self._config = config
        self._train_split = train_split
        self._total_steps = total_steps
        self._augment = augment
        self._coordinator = tf.distribute.coordinator.ClusterCoordinator(strategy)
        self._workers = workers
        self._batches: Iterator | None = None
        self._planned = self._steps_per_call = 0
        self._take = tf.function(functions.take_steps)
        self._evaluate_batch = tf.function(functions.evaluate_batch)
        self._evaluation = eval_split.evaluation(config.eval_batch_size, Share())
        # A worker takes the next number when it sets up its batches.
        self._worker_number = tf.Variable(0, dtype=tf.int64, trainable=False)

    def begin(self, step: int, steps_per_call: int) -> None:
        steps_per_epoch = self._train_split.rows // self._config.batch_size
        self._planned = min(plan_until(step, steps_per_epoch), self._total_steps)
        self._steps_per_call = steps_per_call
        calls = plan_calls(step, self._planned, steps_per_epoch, steps_per_call)
        parts = [part for call in calls for part in divide(call, self._workers)]
        longest = max(part.steps for part in parts)

        def worker_batches() -> tf.data.Dataset:
            number = self._worker_number.assign_add(1)
            # One worker alone might take every part, and one more for each that another dropped.
            seed = worker_seed(self._config.seed, number)
            plan = Plan(parts, longest, self._config.batch_size, seed, self._augment)
            return self._train_split.training(plan, Share()).repeat()

        self._batches = iter(self._coordinator.create_per_worker_dataset(worker_batches))

    def train(self, steps: int) -> np.ndarray:
        first = int(self._state.step.numpy())
        if first == self._planned:
            self.begin(first, self._steps_per_call)
        results = [
            self._coordinator.schedule(
                self._take,
                args=(
                    self._batches,
                    tf.constant(part.start, tf.int64),
                    tf.constant(part.steps),
                ),
            )
            for part in divide(Call(first, steps), self._workers)
        ]
        self._coordinator.join()
        # Not counted by the workers: one that dies after it counted would be counted twice.
        self._state.step.assign(first + steps)
        watchdog.beat(trained=True)
        return np.sum([result.fetch() for result in results], axis=0, dtype=np.float64)

    def evaluate(self, leave: Callable[[], bool] = lambda: False) -> np.ndarray | None:
        total = 0.0
        for features in self._evaluation:
            if leave():
                return None
            total = total + self._evaluate_batch(features).numpy().astype(np.float64)
            watchdog.beat()
        return np.asarray(total)


def worker_seed(seed: int, number: tf.Tensor) -> tf.Tensor:
    """Returns the seed of a worker's batches, int64 scalar, below 2^31.

    A seed of more than 32 bits would be cut to them where rows are shuffled.
    """
    key = tf.stack([tf.constant(seed, tf.int64), number])
    return tf.random.stateless_uniform([], key, maxval=2**31 - 1, dtype=tf.int64)


def divide(call: Call, workers: int) -> Sequence[Call]:
    """Cuts a call into parts that differ by a step at most: one a worker, if there are enough."""
    parts = min(workers, call.steps)
    ends = [call.start + call.steps * part // parts for part in range(parts + 1)]
    return [Call(start, end - start) for start, end in itertools.pairwise(ends)]


def serve(place: Place, config: TrainConfig, folder: str) -> int:
    """Serves the coordinator until it is gone; returns the exit code of this process.

    A request to stop is for the coordinator: it saves what this process holds, and leaves first.

    Args:
        place: of a `worker` or `ps`.
        folder: of the training, shared by its processes.
    """
    resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver(rpc_layer="grpc")
    cluster = resolver.cluster_spec()
    server = tf.distribute.Server(
        cluster, job_name=place.role, task_index=place.index, protocol="grpc"
    )
    host, _, port = cluster.task_address("chief", 0).rpartition(":")
    stopping.listen()
    seen = False
    began = time.monotonic()
    while True:
        answers = _answers(host, int(port))
        seen = seen or answers
        if seen and not answers:
            break
        if not seen and stopping.stop_requested():
            return stopping.EXIT_CODE
        if not seen and time.monotonic() - began > 3 * config.stall_seconds:
            raise watchdog.PeerLost(
                f"chief 0 at {host}:{port} has not answered for {3 * config.stall_seconds:g} s; "
                "run again"
            )
        time.sleep(_POLL_SECONDS)
    del server
    if (Path(folder) / _FINISHED).exists():
        return 0
    return stopping.EXIT_CODE if stopping.stop_requested() else watchdog.EXIT_CODE


def say_unfinished(folder: str) -> None:
    """Takes back what an earlier coordinator said to its servers."""
    (Path(folder) / _FINISHED).unlink(missing_ok=True)


def say_finished(folder: str) -> None:
    """Tells the servers that they are not needed again, once they see this process gone."""
    (Path(folder) / _FINISHED).touch()


def _answers(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=5):
            return True
    except OSError:
        return False
