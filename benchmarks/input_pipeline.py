"""Times the input of the training loop against a bare TFRecordDataset over the same files.

    make bench-input
    .venv/bin/python -m benchmarks.input_pipeline --data 'runs/.../Split-train/*' --rounds 5

Without --data the examples are made here: pictures of CIFAR-10's size, stored as Transform stores
them, float32 in GZIP files. The variants take turns, round after round.
The bare reader parses nothing, so its ratio to the others is the price of all they do, or what
they save. Rates are of the machine; the ratios hold where seconds do not.
Then the network of configs/cifar10.yaml trains on each, augmented, and says how long it waits.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)
from benchmarks.input_wait import CONFIG, Waiting, read_config
from benchmarks.report import Column, Spread, format_table, write_json

import tensorflow as tf  # isort: skip

from trainer_module.config import TaskConfig, TrainConfig  # isort: skip
from trainer_module.config.input import AugmentConfig, InputConfig  # isort: skip
from trainer_module.data import Plan, Share, Split, make_augment, open_split, plan_calls  # isort: skip

SHAPE = (32, 32, 3)
SPEC = {
    "image": tf.io.FixedLenFeature(SHAPE, tf.float32),
    "class": tf.io.FixedLenFeature([], tf.int64),
}
AUGMENT = AugmentConfig(flip="horizontal", rotation=15, zoom=0.1, translation=0.1, contrast=0.2)
FILES = 4
EPOCHS = 2
STEPS_PER_CALL = 10
COLUMNS = (
    Column("variant", "variant"),
    Column("rows_per_second", "rows/s", ".0f"),
    Column("lowest", "lowest", ".0f"),
    Column("highest", "highest", ".0f"),
    Column("ratio", "ratio"),
    Column("ratio_lowest", "lowest"),
    Column("ratio_highest", "highest"),
    Column("cpu_us_per_row", "CPU us/row", ".1f"),
)
WAITING_STEPS = 4
WAITING_TARGET = 0.05
WAITING_COLUMNS = (
    Column("variant", "input of the training"),
    Column("waits", "waits", ".1%"),
    Column("lowest", "lowest", ".1%"),
    Column("highest", "highest", ".1%"),
    Column("target", "less than", ".0%"),
    Column("met", "met"),
)


@dataclass(frozen=True)
class Variant:
    """Something that gives rows.

    Attributes:
        dataset: makes its batches.
        rows: in all elements but the first.
    """

    name: str
    dataset: Callable[[], tf.data.Dataset]
    rows: int


@dataclass
class Rates:
    """What was measured in each round: rows a second, and microseconds of all CPUs a row."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def measure(self, variant: Variant) -> None:
        """Reads a variant to its end, from its second element on: the first waits for the start."""
        iterator = iter(variant.dataset())
        next(iterator)
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in iterator:
            pass
        self.wall.append(variant.rows / (time.perf_counter() - wall))
        self.cpu.append((time.process_time() - cpu) / variant.rows * 1e6)


def write_examples(folder: Path, rows: int) -> str:
    """Writes smooth pictures with noise, which compress about as photographs do."""
    rng = np.random.default_rng(0)
    coarse = rng.uniform(0, 255, [rows, 4, 4, 3])
    options = tf.io.TFRecordOptions(compression_type="GZIP")
    for number in range(FILES):
        with tf.io.TFRecordWriter(str(folder / f"data-{number:05d}.gz"), options) as writer:
            for row in range(number, rows, FILES):
                smooth = coarse[row].repeat(8, axis=0).repeat(8, axis=1)
                image = np.clip(np.rint(smooth + rng.normal(0, 8, SHAPE)), 0, 255)
                feature = {
                    "image": tf.train.Feature(float_list={"value": image.ravel()}),
                    "class": tf.train.Feature(int64_list={"value": [row % 10]}),
                }
                example = tf.train.Example(features=tf.train.Features(feature=feature))
                writer.write(example.SerializeToString())
    return str(folder / "data-*.gz")


def variants(pattern: str, splits: Mapping[str, Split], batch_size: int) -> list[Variant]:
    """Returns the bare readers, and every split with and without augmentation."""
    files = sorted(tf.io.gfile.glob(pattern))

    def records() -> tf.data.Dataset:
        dataset = tf.data.TFRecordDataset(files, "GZIP").repeat(EPOCHS)
        return dataset.batch(batch_size, drop_remainder=True).prefetch(2)

    def training(split: Split, augmented: bool, epochs: int) -> tf.data.Dataset:
        steps = split.rows // batch_size
        calls = plan_calls(0, epochs * steps, steps, STEPS_PER_CALL)
        augment = make_augment(AUGMENT, SPEC) if augmented else None
        return split.training(Plan(calls, STEPS_PER_CALL, batch_size, 0, augment), Share())

    def parsed() -> tf.data.Dataset:
        return records().map(lambda batch: tf.io.parse_example(batch, SPEC)).prefetch(2)

    epoch = splits["none"].rows // batch_size * batch_size
    bare = EPOCHS * epoch - batch_size
    found = [Variant("bare", records, bare), Variant("bare, parsed", parsed, bare)]
    for augmented in (False, True):
        for cache, split in splits.items():
            # A gather is over so soon that it takes more of them to time it.
            epochs = EPOCHS if augmented or cache == "none" else 10 * EPOCHS
            found.append(
                Variant(
                    f"{cache}, augmented" if augmented else cache,
                    partial(training, split, augmented, epochs),
                    epochs * epoch - STEPS_PER_CALL * batch_size,
                )
            )
    return found


def waiting_shares(
    splits: Mapping[str, Split], task: TaskConfig, config: TrainConfig, rounds: int, calls: int
) -> list[dict[str, str | float | None]]:
    """Returns a row a cache: the part of its time that a training waits for its batches."""
    trainings = {
        cache: Waiting(task, config, SPEC, split, WAITING_STEPS, rounds * calls)
        for cache, split in splits.items()
    }
    shares: dict[str, list[float]] = {cache: [] for cache in splits}
    for _ in range(rounds):
        for cache, training in trainings.items():
            shares[cache].append(training.share(calls))
    rows: list[dict[str, str | float | None]] = []
    for cache, found in shares.items():
        share = Spread.of(found)
        rows.append(
            {
                "table": "waiting",
                "variant": f"{cache}, augmented",
                "waits": share.median,
                "lowest": share.lowest,
                "highest": share.highest,
                "target": WAITING_TARGET,
                "met": "yes" if share.median < WAITING_TARGET else "no",
            }
        )
    return rows


def table(rates: Mapping[str, Rates]) -> list[dict[str, str | float | None]]:
    """Returns a row a variant, with its ratio to the bare reader of the same round."""
    rows: list[dict[str, str | float | None]] = []
    for name, measured in rates.items():
        wall = Spread.of(measured.wall)
        ratio = Spread.of(
            [one / bare for one, bare in zip(measured.wall, rates["bare"].wall, strict=True)]
        )
        rows.append(
            {
                "table": "rates",
                "variant": name,
                "rows_per_second": wall.median,
                "lowest": wall.lowest,
                "highest": wall.highest,
                "ratio": ratio.median,
                "ratio_lowest": ratio.lowest,
                "ratio_highest": ratio.highest,
                "cpu_us_per_row": Spread.of(measured.cpu).median,
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.input_pipeline")
    parser.add_argument("--data", help="glob of TFRecords with `image` and `class` as above")
    parser.add_argument("--rows", type=int, default=8000, help="how many to make without --data")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--waiting-calls", type=int, default=5, help="of a training, each round")
    parser.add_argument("--config", type=Path, default=CONFIG, help="what trains, and how")
    options = parser.parse_args()
    task, config = read_config(options.config)
    with tempfile.TemporaryDirectory() as folder:
        pattern = options.data or write_examples(Path(folder), options.rows)
        splits, opening = {}, []
        for cache in ("memory", "file", "none"):
            began = time.perf_counter()
            splits[cache] = open_split([pattern], SPEC, InputConfig(cache=cache), folder)
            opening.append(splits[cache].rows / (time.perf_counter() - began))
        rates: dict[str, Rates] = {}
        for number in range(1, options.rounds + 1):
            for variant in variants(pattern, splits, options.batch_size):
                rates.setdefault(variant.name, Rates()).measure(variant)
            print(f"round {number} of {options.rounds} done", file=sys.stderr)
        waits = waiting_shares(splits, task, config, options.rounds, options.waiting_calls)
    rows = table(rates)
    print(format_table(COLUMNS, rows))
    print("\n" + format_table(WAITING_COLUMNS, waits))
    print(
        "opened for the first time, rows a second: "
        + ", ".join(f"{cache} {rate:.0f}" for cache, rate in zip(splits, opening, strict=True))
    )
    print(f"rows: {write_json('bench-input', [*rows, *waits])}")


if __name__ == "__main__":
    main()
