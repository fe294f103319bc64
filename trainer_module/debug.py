"""Ways to look into a training that goes wrong: `train.debug`."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
from collections.abc import Iterator

import tensorflow as tf

from trainer_module.config import TrainConfig
from trainer_module.data import MemorySplit, Plan, Share, Split

FAST_STEPS = 3
"""Steps of a fast development run."""


def limit(
    config: TrainConfig, train_split: Split, eval_split: Split
) -> tuple[TrainConfig, Split, Split]:
    """Returns a training of less data, where the configuration asks for one.

    `fast_dev_run`: one epoch of up to three batches, one batch of evaluation. `overfit_batches`:
    the first batches alone, the same ones in the same order every epoch, as they are, for
    training and for evaluation; a model that can learn at all brings their loss close to 0.

    Raises:
        ValueError: if there are fewer rows than `overfit_batches` take.
    """
    debug, batch_size = config.debug, config.batch_size
    if debug.fast_dev_run:
        few = config.model_copy(update={"epochs": 1})
        train_rows = train_split.head(FAST_STEPS * batch_size)
        return few, MemorySplit(train_rows), MemorySplit(eval_split.head(config.eval_batch_size))
    if debug.overfit_batches:
        rows = debug.overfit_batches * batch_size
        if rows > train_split.rows:
            raise ValueError(
                f"train.debug.overfit_batches: found {debug.overfit_batches}; allowed: at most "
                f"{train_split.rows // batch_size}, the batches of the train split"
            )
        fixed = FixedSplit(train_split.head(rows))
        return config, fixed, fixed
    return config, train_split, eval_split


def prepare_folder(config: TrainConfig, folder: str, is_chief: bool = True) -> str:
    """Makes the folder of a training and returns it; that of a `fast_dev_run` is emptied.

    It is to show that everything works, from the first step to the last: no checkpoint is gone on
    from. Comes before `train`, whose workers wait for the chief.
    """
    own = config.debug.folder_in(folder)
    if config.debug.fast_dev_run and is_chief:
        shutil.rmtree(own, ignore_errors=True)
    os.makedirs(own, exist_ok=True)
    return own


@contextlib.contextmanager
def eagerly(wanted: bool) -> Iterator[None]:
    """Runs tf.functions as plain Python while it lasts, if wanted; input pipelines stay graphs."""
    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(wanted or before)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)


class FixedSplit(MemorySplit):
    """Rows whose batches are the same in every epoch, in order, and never augmented."""

    def training(self, plan: Plan, share: Share) -> tf.data.Dataset:
        return super().training(dataclasses.replace(plan, augment=None), share)

    def _shuffled(self, position: tf.Tensor, seed: int, epoch: tf.Tensor) -> tf.Tensor:
        return position
