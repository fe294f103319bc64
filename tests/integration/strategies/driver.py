"""Trains with each feature in turn, under one strategy, in a process that may be one of several.

    python driver.py --strategy mirrored --output out

One process holds one strategy: a second MirroredStrategy fails in its collectives. Writes one JSON
file, feature by feature: {name: {losses, calls, evaluations, files}} or {name: {error}}.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import traceback
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.integration.strategies import features  # isort: skip
from tests.integration.strategies import task as tasks  # isort: skip

from trainer_module import parameter_server  # isort: skip
from trainer_module.callbacks import Callback  # isort: skip
from trainer_module.callbacks.factory import make_callbacks  # isort: skip
from trainer_module.config import TrainConfig  # isort: skip
from trainer_module.data import MemorySplit  # isort: skip
from trainer_module.loop import train  # isort: skip
from trainer_module.strategy import configure_devices, make_strategy, read_place  # isort: skip
from trainer_module.watchdog import Watchdog, leave  # isort: skip

BASE = {"epochs": 2, "batch_size": 32, "eval_batch_size": 64, "steps_per_call": 5}


class Record(Callback):
    """Keeps what the calls said, by the step that they end at, and the evaluations."""

    def __init__(self) -> None:
        self.calls: dict[int, dict[str, float]] = {}
        self.evaluations: list[dict[str, float]] = []

    def on_call_end(self, step: int, values: Any) -> None:
        self.calls[step] = dict(values)

    def on_epoch_end(self, epoch: int, step: int, train: Any, evaluation: Any) -> None:
        self.evaluations.append(dict(evaluation))


def config_of(feature: features.Feature, strategy: str) -> TrainConfig:
    """Returns the configuration of a feature under a strategy.

    Raises:
        ValidationError: if the strategy refuses it.
    """
    replicas = {"replicas": 2} if strategy == "mirrored" else {}
    changes = {name: value for name, value in feature.changes.items() if name != "optimizer"}
    optimizer = {"learning_rate": 0.005, **feature.changes.get("optimizer", {})}
    return TrainConfig(**{**BASE, **changes, **replicas}, strategy=strategy, optimizer=optimizer)


def run(feature: features.Feature, strategy: str, shared: Any, folder: Path) -> dict[str, Any]:
    config = config_of(feature, strategy)
    name, options = feature.task
    record = Record()
    train_split = MemorySplit(tasks.rows(0, 320))
    result = train(
        getattr(tasks, name)(**options),
        {},
        train_split,
        MemorySplit(tasks.rows(1000, 150)),
        config,
        str(folder),
        [record, *make_callbacks(config, str(folder))],
        strategy=shared,
    )
    return {
        "losses": {step: values["loss"] for step, values in record.calls.items()},
        "calls": record.calls,
        "evaluations": record.evaluations,
        "stopped": result.stopped,
        "last_step": result.last_step,
        "files": sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--strategy", choices=features.STRATEGIES, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True, help="shared by all processes")
    parser.add_argument("--slow", action="store_true", help="what only the slow tests try")
    args = parser.parse_args()
    plain = config_of(features.FEATURES[0], args.strategy)
    place = read_place(plain)
    args.folder.mkdir(parents=True, exist_ok=True)
    if args.strategy == "parameter_server" and not place.is_chief:
        leave(parameter_server.serve(place, plain, str(args.folder)))
    with Watchdog(240.0):
        configure_devices(plain)
        shared = make_strategy(plain)
        said: dict[str, Any] = {}
        for number, feature in enumerate(features.FEATURES):
            if args.strategy in feature.refused or args.slow != feature.is_slow(args.strategy):
                continue
            try:
                said[feature.name] = run(feature, args.strategy, shared, args.folder / str(number))
            except Exception as error:
                traceback.print_exc()
                said[feature.name] = {"error": f"{type(error).__name__}: {error}"}
            # Together: what a collection destroys of one training may wait for a peer.
            gc.collect()
    if place.is_chief:
        args.output.write_text(json.dumps(said))
        parameter_server.say_finished(str(args.folder))


if __name__ == "__main__":
    main()
    leave(0)
