"""The numbers of each epoch, in a file."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from trainer_module.callbacks.base import Callback, Training, Values
from trainer_module.callbacks.files import write_whole


class History(Callback):
    """Keeps one JSON line an epoch in a file; a resumed training rewrites from where it resumes.

    A line replaces that of the same step: of an evaluation that a checkpoint owes, the file has
    the line already if an earlier run was killed before it had saved.
    """

    chief_only = True

    def __init__(self, path: str) -> None:
        self._path = path
        self.epochs: list[dict[str, Any]] = []

    def on_train_begin(self, training: Training) -> None:
        step = training.resumed_from
        if os.path.exists(self._path):
            lines = Path(self._path).read_text(encoding="utf-8").splitlines()
            epochs = [json.loads(line) for line in lines]
            self.epochs = [epoch for epoch in epochs if epoch["step"] <= step]

    def on_epoch_end(self, epoch: int, step: int, train: Values, evaluation: Values) -> None:
        self.epochs = [line for line in self.epochs if line["step"] < step]
        self.epochs.append(
            {"epoch": epoch, "step": step, "train": dict(train), "eval": dict(evaluation)}
        )
        write_whole(self._path, "".join(json.dumps(line) + "\n" for line in self.epochs))
