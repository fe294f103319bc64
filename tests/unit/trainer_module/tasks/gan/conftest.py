"""A small gan: a few digits, narrow players."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

from trainer_module.callbacks import Callback  # isort: skip
from trainer_module.config import TrainConfig  # isort: skip
from trainer_module.data import MemorySplit  # isort: skip
from trainer_module.loop import TrainResult, train  # isort: skip
from trainer_module.tasks.gan import Gan, features  # isort: skip


@pytest.fixture(scope="session")
def gan() -> Gan:
    return Gan(noise=4, filters=4, d_steps=2, sample_epochs=2)


@pytest.fixture(scope="session")
def train_gan(gan: Gan, train_rows, eval_rows) -> Callable[..., TrainResult]:
    """Trains the small gan for three epochs of two steps, an average of the weights kept."""

    def run(folder: Path, callbacks: Sequence[Callback] = (), **changes: Any) -> TrainResult:
        settings = {
            "epochs": 3,
            "batch_size": 32,
            "steps_per_call": 2,
            "best": {"metric": "sample/frechet"},
            "clip": None,
            "ema": {"momentum": 0.5},
            **changes,
        }
        wanted = (features.IMAGE, features.CLASS)
        splits = (
            MemorySplit({name: rows[name][:count] for name in wanted})
            for rows, count in ((train_rows, 64), (eval_rows, 40))
        )
        config = TrainConfig.model_validate(settings)
        return train(gan, {}, *splits, config, str(folder), callbacks)

    return run
