"""Trains the digits task on arrays from a file, in a process of its own that may be killed.

    python train_driver.py --data digits.npz --folder checkpoints --output out \
        --strategy mirrored --replicas 2 --kill-at-step 7

A process is needed because logical CPUs are set before TensorFlow starts, because one process
holds one MirroredStrategy, and because a kill -9 ends what it hits. Writes to the output folder,
once training is through: weights.npz (the exported model's) and result.json (what the loop said).
"""

from __future__ import annotations

import argparse
import json
import os
import signal
from pathlib import Path

import numpy as np

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)
from trainer_module.callbacks import Callback
from trainer_module.config import OptimizerConfig, TrainConfig
from trainer_module.loop import train
from trainer_module.strategy import configure_devices
from trainer_module.tasks.digits import Digits


class Die(Callback):
    """Kills the process at a step: after its call, or at the epoch's end that it is.

    At an epoch's end the best checkpoint is written and the latest not yet.
    """

    def __init__(self, after_call: int | None, at_epoch_end: int | None) -> None:
        self._after_call = after_call
        self._at_epoch_end = at_epoch_end

    def on_call_end(self, step: int, values: dict[str, float]) -> None:
        if step == self._after_call:
            os.kill(os.getpid(), signal.SIGKILL)

    def on_epoch_end(self, epoch: int, step: int, train: dict, evaluation: dict) -> None:
        if step == self._at_epoch_end:
            os.kill(os.getpid(), signal.SIGKILL)


class Record(Callback):
    """Keeps the values of each call and of each evaluation."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, dict[str, float]]] = []
        self.evaluations: list[dict[str, float]] = []

    def on_call_end(self, step: int, values: dict[str, float]) -> None:
        self.calls.append((step, dict(values)))

    def on_epoch_end(self, epoch: int, step: int, train: dict, evaluation: dict) -> None:
        self.evaluations.append(dict(evaluation))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--strategy", choices=["default", "mirrored"], default="default")
    parser.add_argument("--replicas", type=int)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--eval-batch-size", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dropout", type=float, help="the task's own unless given")
    parser.add_argument("--steps-per-call", type=int, default=3)
    parser.add_argument("--checkpoint-every-steps", type=int)
    parser.add_argument("--kill-at-step", type=int)
    parser.add_argument("--kill-at-epoch-end", type=int)
    return parser.parse_args()


def main() -> None:
    args = arguments()
    config = TrainConfig(
        epochs=args.epochs,
        batch_size=args.batch_size,
        eval_batch_size=args.eval_batch_size,
        seed=args.seed,
        strategy=args.strategy,
        replicas=args.replicas,
        steps_per_call=args.steps_per_call,
        checkpoint_every_steps=args.checkpoint_every_steps,
        optimizer=OptimizerConfig(learning_rate=0.003),
    )
    configure_devices(config)
    record = Record()
    options = {} if args.dropout is None else {"dropout": args.dropout}
    task = Digits(filters=8, embedding=16, **options)
    with np.load(args.data) as data:
        rows = {
            split: {
                name.removeprefix(f"{split}/"): data[name]
                for name in data
                if name.startswith(f"{split}/")
            }
            for split in ("train", "eval")
        }
    callbacks = [record, Die(args.kill_at_step, args.kill_at_epoch_end)]
    result = train(task, {}, rows["train"], rows["eval"], config, str(args.folder), callbacks)

    args.output.mkdir(parents=True)
    np.savez(args.output / "weights.npz", *result.model.get_weights())
    said = {
        "resumed_from": result.resumed_from,
        "best_step": result.best_step,
        "calls": record.calls,
        "evaluations": record.evaluations,
    }
    (args.output / "result.json").write_text(json.dumps(said))


if __name__ == "__main__":
    main()
