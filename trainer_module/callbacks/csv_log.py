"""The numbers of each epoch as a table, for spreadsheets and data frames."""

from __future__ import annotations

from trainer_module.callbacks.base import Callback, Training, Values
from trainer_module.callbacks.layer_report import without_norms
from trainer_module.callbacks.table import STEP, Table


class CsvLog(Callback):
    """Keeps one row an epoch: epoch, step, `train/...` and `eval/...` in the order of the loop.

    The norms of a layer report have a table of their own. A resumed training takes
    over the rows up to its checkpoint.
    """

    chief_only = True

    def __init__(self, path: str) -> None:
        self._table = Table(path)

    def on_train_begin(self, training: Training) -> None:
        self._table.resume(training.resumed_from)

    def on_epoch_end(self, epoch: int, step: int, train: Values, evaluation: Values) -> None:
        row: dict[str, object] = {"epoch": epoch, STEP: step}
        row |= {f"train/{name}": value for name, value in without_norms(train).items()}
        row |= {f"eval/{name}": value for name, value in evaluation.items()}
        self._table.add([row])
