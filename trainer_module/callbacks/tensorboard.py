"""What TensorBoard shows of a training."""

from __future__ import annotations

import os

import tensorflow as tf

from trainer_module.callbacks.base import Callback, Values


class TensorBoard(Callback):
    """Writes scalars for TensorBoard: training means a call, evaluation an epoch.

    A training that resumes writes the steps since its checkpoint once more; TensorBoard shows the
    later values.
    """

    chief_only = True

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


def _write_scalars(writer: tf.summary.SummaryWriter, step: int, values: Values) -> None:
    with writer.as_default(step):
        for name, value in values.items():
            tf.summary.scalar(name, value)
