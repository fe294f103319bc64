"""The training loop: N steps a call, an evaluation an epoch, checkpoints that resume exactly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf
import tf_keras as keras

from trainer_module.callbacks import Callback
from trainer_module.checkpoint import Checkpoints
from trainer_module.config import TrainConfig
from trainer_module.data import WEIGHT, Arrays, eval_batches, row_count, train_batches
from trainer_module.optimizers import make_optimizer
from trainer_module.step import StepFunctions, build_step_functions
from trainer_module.strategy import make_strategy
from trainer_module.tasks.base import Task


@dataclass(frozen=True)
class TrainResult:
    """A trained model, its weights those of the best epoch, and what is worth saying of it."""

    model: keras.Model
    best_step: int
    resumed_from: int
    total_steps: int
    steps_per_epoch: int


def train(
    task: Task,
    feature_spec: Mapping[str, Any],
    train_rows: Arrays,
    eval_rows: Arrays,
    config: TrainConfig,
    checkpoint_folder: str,
    callbacks: Sequence[Callback] = (),
) -> TrainResult:
    """Trains to the end, from the latest checkpoint in the folder if there is one.

    Args:
        feature_spec: of the transformed features, for the model's inputs.
        train_rows, eval_rows: arrays as `data.read_examples` returns them.
        checkpoint_folder: of this configuration, code and data alone: what is found there is
            taken for an earlier part of this very training.

    Raises:
        ValueError: if there are fewer rows than a batch, or the best metric does not exist.
        FloatingPointError: if the eval metric is not finite.
    """
    rows = row_count(train_rows)
    steps_per_epoch = rows // config.batch_size
    if steps_per_epoch == 0:
        raise ValueError(
            f"train.batch_size: found {config.batch_size}; allowed: at most the {rows} rows "
            "of the train split"
        )
    total_steps = steps_per_epoch * config.epochs
    strategy = make_strategy(config)
    # A fresh graph of layer names and seeds: nothing that ran in this process before shows.
    keras.backend.clear_session()
    keras.utils.set_random_seed(config.seed)
    # Generators that are variables: a checkpoint can hold them, unlike the state of random ops.
    keras.backend.experimental.enable_tf_random_generator()

    with strategy.scope():
        step = tf.Variable(
            0,
            dtype=tf.int64,
            trainable=False,
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
            name="step",
        )
        model = task.build_model(feature_spec)
        optimizer = make_optimizer(config.optimizer, step, steps_per_epoch, total_steps)
        optimizer.build(model.trainable_variables)
    check_model(task, model, eval_rows)
    checkpoints = Checkpoints(checkpoint_folder, model, optimizer, step, config.best.mode)
    functions = build_step_functions(
        task,
        model,
        optimizer,
        step,
        strategy,
        global_batch_size=config.batch_size,
        clip_global_norm=config.optimizer.clip_global_norm,
    )
    resumed_from = checkpoints.restore_latest()
    for callback in callbacks:
        callback.on_train_begin(resumed_from, total_steps, steps_per_epoch)
    _run(functions, step, strategy, train_rows, eval_rows, config, checkpoints, callbacks)
    for callback in callbacks:
        callback.on_train_end(total_steps)
    best_step = checkpoints.restore_best()
    return TrainResult(model, best_step, resumed_from, total_steps, steps_per_epoch)


def check_model(task: Task, model: keras.Model, rows: Arrays) -> None:
    """Holds a task's model to the interface, on one row, before any work goes into it.

    Raises:
        ValueError: if an output that the interface asks for is missing.
    """
    outputs = model({name: values[:1] for name, values in rows.items()}, training=False)
    wanted = {*(head.name for head in task.heads), "embedding"}
    if not isinstance(outputs, Mapping) or not wanted <= set(outputs):
        found = sorted(outputs) if isinstance(outputs, Mapping) else type(outputs).__name__
        raise ValueError(f"the model's outputs: found {found}; expected a dict of {sorted(wanted)}")
    served = task.serving_outputs(outputs)
    missing = sorted({head.served for head in task.heads} - set(served))
    if missing:
        raise ValueError(f"serving_outputs: found {sorted(served)}; {missing} of the heads missing")


def _run(
    functions: StepFunctions,
    step: tf.Variable,
    strategy: tf.distribute.Strategy,
    train_rows: Arrays,
    eval_rows: Arrays,
    config: TrainConfig,
    checkpoints: Checkpoints,
    callbacks: Sequence[Callback],
) -> None:
    """Runs from `step` to the last step: call by call, an evaluation and a checkpoint an epoch."""
    steps_per_epoch = row_count(train_rows) // config.batch_size
    total_steps = steps_per_epoch * config.epochs
    replicas = strategy.num_replicas_in_sync
    done = int(step.numpy())
    if done == total_steps:
        return
    batches = train_batches(train_rows, config.batch_size, replicas, config.seed, done, total_steps)
    iterator = iter(_distribute(strategy, batches))
    evaluation_data = _distribute(
        strategy, eval_batches(eval_rows, config.eval_batch_size, replicas)
    )
    epoch_sums: dict[str, float] = {}
    epoch_steps = 0
    while done < total_steps:
        n = _steps_to_boundary(done, steps_per_epoch, config)
        sums = _floats(functions.train(iterator, tf.constant(n)))
        done += n
        if int(step.numpy()) != done:
            raise RuntimeError(
                f"the step counter is at {int(step.numpy())} and should be at {done}"
            )
        epoch_sums = {name: epoch_sums.get(name, 0.0) + value for name, value in sums.items()}
        epoch_steps += n
        for callback in callbacks:
            callback.on_call_end(done, {name: value / n for name, value in sums.items()})
        if done % steps_per_epoch == 0:
            evaluation = _evaluate(functions, evaluation_data, eval_rows, config)
            checkpoints.save_if_best(_best_metric(evaluation, config))
            means = {name: value / epoch_steps for name, value in epoch_sums.items()}
            for callback in callbacks:
                callback.on_epoch_end(done // steps_per_epoch, done, means, evaluation)
            checkpoints.save_latest()
            epoch_sums, epoch_steps = {}, 0
        elif config.checkpoint_every_steps and done % config.checkpoint_every_steps == 0:
            checkpoints.save_latest()


def _steps_to_boundary(done: int, steps_per_epoch: int, config: TrainConfig) -> int:
    """Returns how many steps the next call takes: `steps_per_call`, or fewer to a boundary."""
    n = min(config.steps_per_call, steps_per_epoch - done % steps_per_epoch)
    if config.checkpoint_every_steps:
        n = min(n, config.checkpoint_every_steps - done % config.checkpoint_every_steps)
    return n


def _evaluate(
    functions: StepFunctions, data: tf.data.Dataset, rows: Arrays, config: TrainConfig
) -> dict[str, float]:
    """Returns the means over all eval rows, each row counted once."""
    batches = -(-row_count(rows) // config.eval_batch_size)
    sums = _floats(functions.evaluate(iter(data), tf.constant(batches)))
    count = sums.pop(WEIGHT)
    return {name: value / count for name, value in sums.items()}


def _best_metric(evaluation: Mapping[str, float], config: TrainConfig) -> float:
    if config.best.metric not in evaluation:
        raise ValueError(
            f"train.best.metric: found {config.best.metric!r}; "
            f"allowed: {', '.join(sorted(evaluation))}"
        )
    return evaluation[config.best.metric]


def _distribute(strategy: tf.distribute.Strategy, dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Hands consecutive elements to the replicas; the default strategy takes them as they are."""
    if strategy.num_replicas_in_sync == 1:
        return dataset
    return strategy.distribute_datasets_from_function(lambda _context: dataset)


def _floats(sums: Mapping[str, tf.Tensor]) -> dict[str, float]:
    return {name: float(value) for name, value in sums.items()}
