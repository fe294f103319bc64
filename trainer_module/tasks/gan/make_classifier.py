"""Trains the digits classifier of `classifier.py` and writes its weights.

    python -m trainer_module.tasks.gan.make_classifier

Run by hand, when the digits network changes; it prints the SHA-256 that `classifier.py` has to name
and the accuracy on the digits that it did not learn from.
"""

from __future__ import annotations

import hashlib
import tempfile

import numpy as np
from sklearn.datasets import load_digits

from trainer_module.callbacks import Callback
from trainer_module.callbacks.base import Values
from trainer_module.config import OptimizerConfig, TrainConfig
from trainer_module.data import MemorySplit
from trainer_module.data.arrays import Arrays
from trainer_module.loop import train
from trainer_module.tasks.digits import Digits, features
from trainer_module.tasks.gan.classifier import DIMENSION, FILTERS, WEIGHTS

_CONFIG = TrainConfig(
    epochs=60,
    batch_size=32,
    optimizer=OptimizerConfig(learning_rate=0.003, weight_decay=0.02),
)


def split_digits() -> tuple[Arrays, Arrays]:
    """Returns scikit-learn's digits as the digits task's features: three to learn from, then one.

    Their attributes are 0: the classifier learns classes alone.
    """
    images, classes = load_digits(return_X_y=True)
    side = features.SIDE
    rows = {
        features.IMAGE: (images / features.LARGEST_PIXEL).reshape(-1, side, side, 1),
        features.ATTRIBUTE: np.zeros([len(images), len(features.ATTRIBUTE_NAMES)]),
    }
    arrays: Arrays = {name: values.astype(np.float32) for name, values in rows.items()}
    arrays = {**arrays, features.CLASS: classes.astype(np.int64)}
    held_out = np.arange(len(images)) % 4 == 3
    return _select(arrays, ~held_out), _select(arrays, held_out)


def _select(arrays: Arrays, chosen: np.ndarray) -> Arrays:
    return {name: values[chosen] for name, values in arrays.items()}


class _Print(Callback):
    def on_epoch_end(self, epoch: int, step: int, train: Values, evaluation: Values) -> None:
        print(f"epoch {epoch}: accuracy {evaluation['class/accuracy']:.4f}")


def main() -> None:
    train_rows, eval_rows = split_digits()
    task = Digits(filters=FILTERS, embedding=DIMENSION, dropout=0.2, attribute_weight=0.0)
    with tempfile.TemporaryDirectory() as folder:
        result = train(
            task, {}, MemorySplit(train_rows), MemorySplit(eval_rows), _CONFIG, folder, [_Print()]
        )
    weights = result.model.get_weights()
    np.savez(WEIGHTS, **{f"{index:02d}": array for index, array in enumerate(weights)})
    print(f"SHA256 = {hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()!r}")


if __name__ == "__main__":
    main()
