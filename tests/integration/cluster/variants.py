"""Trains variants of one configuration under one strategy object, and writes what they said.

    python variants.py REQUEST.json

The request holds `data` (a job's section), `strategy` (keys of `train`), `variants` (name -> keys
of `train`), `folder`, and `output`, which the chief writes: name -> the values of each call.
"""

from __future__ import annotations

import gc
import json
import sys
from pathlib import Path

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)
from trainer_module.callbacks import Callback
from trainer_module.config import TrainConfig
from trainer_module.config.job import DataConfig
from trainer_module.data import MemorySplit, read_examples
from trainer_module.job import feature_spec
from trainer_module.loop import train
from trainer_module.strategy import configure_devices, make_strategy, read_place
from trainer_module.tasks.digits import Digits
from trainer_module.watchdog import Watchdog, leave


class Record(Callback):
    """Keeps the values of each call, and of each evaluation."""

    def __init__(self) -> None:
        self.calls: list[dict] = []
        self.evaluations: list[dict] = []

    def on_call_end(self, step: int, values: dict) -> None:
        self.calls.append({"step": step, **values})

    def on_epoch_end(self, epoch: int, step: int, train: dict, evaluation: dict) -> None:
        self.evaluations.append(dict(evaluation))


def main(request: dict) -> None:
    first = TrainConfig(**request["strategy"])
    configure_devices(first)
    strategy = make_strategy(first)
    place = read_place(first)
    data = DataConfig(**request["data"])
    spec = feature_spec(data)
    train_split = MemorySplit(read_examples(data.train, spec))
    eval_split = MemorySplit(read_examples(data.eval, spec))
    said = {}
    for name, changes in request["variants"].items():
        print("variant", name, flush=True)
        config = TrainConfig(**{**request["strategy"], **changes})
        record = Record()
        # Without dropout and BatchNorm, which differ from replica to replica by design.
        task = Digits(filters=4, embedding=8, dropout=0.0)
        train(
            task,
            spec,
            train_split,
            eval_split,
            config,
            f"{request['folder']}/{name}",
            [record],
            strategy=strategy,
        )
        # Together: what a collection destroys of the last variant waits for a peer that is still
        # in a call of it, or already in one of the next.
        gc.collect()
        said[name] = {"calls": record.calls, "evaluations": record.evaluations}
    if place.is_chief:
        Path(request["output"]).write_text(json.dumps(said))


if __name__ == "__main__":
    with Watchdog(60.0):
        main(json.loads(Path(sys.argv[1]).read_text()))
    leave(0)
