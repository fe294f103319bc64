"""Makes the callbacks that a configuration asks for."""

from __future__ import annotations

import os
from collections.abc import Sequence

from trainer_module.callbacks.base import Callback
from trainer_module.callbacks.csv_log import CsvLog
from trainer_module.callbacks.early_stop import EarlyStop
from trainer_module.callbacks.explosion import Explosion
from trainer_module.callbacks.history import History
from trainer_module.callbacks.layer_report import LayerReport
from trainer_module.callbacks.plateau import Plateau
from trainer_module.callbacks.progress import Progress
from trainer_module.callbacks.tensorboard import TensorBoard
from trainer_module.callbacks.time_budget import TimeBudget
from trainer_module.config import NamedConfig, TrainConfig
from trainer_module.dotted_path import load_object, make_object


def make_callbacks(config: TrainConfig, folder: str) -> list[Callback]:
    """Returns all callbacks of a training, in the order that the loop calls them.

    What writes comes before what may stop or fail, so that the last numbers are on disk; the
    user's own come last.

    Args:
        folder: of the training; made if it is missing.

    Raises:
        ValueError: if a path of `train.callbacks.own` leads to no Callback class, or the class
            does not take the options.
    """
    section = config.callbacks
    os.makedirs(folder, exist_ok=True)
    callbacks: list[Callback] = [
        Progress(),
        TensorBoard(os.path.join(folder, "tensorboard"), section.tensorboard),
        History(os.path.join(folder, "history.jsonl")),
    ]
    if section.csv:
        callbacks.append(CsvLog(os.path.join(folder, "history.csv")))
    if config.debug.layer_report:
        callbacks.append(LayerReport(os.path.join(folder, "layers.csv")))
    if config.plateau:
        callbacks.append(Plateau(config.plateau))
    if section.early_stop:
        callbacks.append(EarlyStop(section.early_stop))
    if section.time_budget_minutes:
        callbacks.append(TimeBudget(section.time_budget_minutes))
    if section.stop_on_explosion:
        callbacks.append(Explosion(section.stop_on_explosion))
    return callbacks + own_callbacks(section.own)


def own_callbacks(sections: Sequence[NamedConfig]) -> list[Callback]:
    """Makes the user's own callbacks.

    Raises:
        ValueError: if a path leads to no Callback class, or the class does not take the options.
    """
    made = []
    for index, section in enumerate(sections):
        key = f"train.callbacks.own.{index}"
        found = load_object(f"{key}.name", section.name)
        if not (isinstance(found, type) and issubclass(found, Callback)):
            raise ValueError(
                f"{key}.name: found {section.name!r}, which is {found!r}; allowed: the dotted "
                "path of a subclass of trainer_module.callbacks.Callback"
            )
        made.append(make_object(key, section))
    return made
