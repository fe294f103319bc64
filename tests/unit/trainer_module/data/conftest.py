"""Small TFRecords as Transform writes them, and what a training sees of a split, step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip

from trainer_module.config.input import InputConfig  # isort: skip
from trainer_module.data import (  # isort: skip
    WEIGHT,
    Augment,
    Plan,
    Share,
    Split,
    open_split,
    plan_calls,
)

Step = dict[str, np.ndarray]

NUMBERED_SPEC = {
    "id": tf.io.FixedLenFeature([], tf.int64),
    "image": tf.io.FixedLenFeature([4, 4, 2], tf.float32),
}
GZIP = tf.io.TFRecordOptions(compression_type="GZIP")


def numbered_image(number: int) -> np.ndarray:
    return (np.arange(32, dtype=np.float32).reshape(4, 4, 2) ** 1.5 + number).astype(np.float32)


def numbered_example(number: int) -> bytes:
    feature = {
        "id": tf.train.Feature(int64_list={"value": [number]}),
        "image": tf.train.Feature(float_list={"value": numbered_image(number).ravel()}),
    }
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., list[str]]:
    """Deals examples out to GZIP TFRecord files; returns the pattern that matches them."""

    def run(name: str, examples: Sequence[bytes], files: int) -> list[str]:
        folder = tmp_path / name
        folder.mkdir()
        for index in range(files):
            with tf.io.TFRecordWriter(str(folder / f"data-{index:05d}.gz"), GZIP) as writer:
                for example in examples[index::files]:
                    writer.write(example)
        return [str(folder / "data-*.gz")]

    return run


@pytest.fixture
def numbered(write: Callable[..., list[str]]) -> Callable[..., list[str]]:
    """Writes rows that are told apart by their id; returns their pattern."""
    return lambda count, files=3, name="numbered": write(
        name, [numbered_example(number) for number in range(count)], files
    )


@pytest.fixture
def numbered_spec() -> dict[str, tf.io.FixedLenFeature]:
    return dict(NUMBERED_SPEC)


@pytest.fixture
def images() -> Callable[[Iterable[int]], np.ndarray]:
    """Returns the images of these ids, as they are stored."""
    return lambda ids: np.stack([numbered_image(number) for number in ids])


@pytest.fixture
def opened(tmp_path: Path) -> Callable[..., Split]:
    """Opens numbered rows with one of the caches."""

    def run(
        patterns: list[str], cache: str, spec: dict[str, Any] = NUMBERED_SPEC, **config: int
    ) -> Split:
        return open_split(
            patterns, spec, InputConfig(cache=cache, **config), str(tmp_path / "cache")
        )

    return run


@pytest.fixture
def train_steps() -> Callable[..., list[Step]]:
    """Returns the global batch of each step, put together from the parts of all shares."""

    def run(
        split: Split,
        total: int,
        batch_size: int,
        start: int = 0,
        steps_per_call: int = 3,
        shares: Sequence[Share] = (Share(),),
        seed: int = 3,
        augment: Augment | None = None,
    ) -> list[Step]:
        calls = plan_calls(start, total, split.rows // batch_size, steps_per_call)
        part = batch_size // shares[0].replicas
        by_replica: list[list[Step]] = []
        for share in shares:
            plan = Plan(calls, steps_per_call, batch_size, seed, augment)
            dataset = split.training(plan, share)
            elements = list(dataset.as_numpy_iterator())
            assert len(elements) == len(calls) * share.count
            for element in elements:
                assert {values.shape[:2] for values in element.values()} == {(steps_per_call, part)}
            by_replica += [elements[replica :: share.count] for replica in range(share.count)]
        return [
            {
                name: np.concatenate([elements[index][name][step] for elements in by_replica])
                for name in by_replica[0][index]
            }
            for index, call in enumerate(calls)
            for step in range(call.steps)
        ]

    return run


@pytest.fixture
def eval_rows() -> Callable[..., Step]:
    """Returns all rows of an evaluation with their weights, put together from all shares."""

    def run(split: Split, batch_size: int, shares: Sequence[Share] = (Share(),)) -> Step:
        elements = []
        for share in shares:
            found = list(split.evaluation(batch_size, share).as_numpy_iterator())
            assert len(found) == -(-split.rows // batch_size) * share.count
            elements += found
        part = batch_size // shares[0].replicas
        assert {len(values) for element in elements for values in element.values()} == {part}
        rows = {
            name: np.concatenate([element[name] for element in elements]) for name in elements[0]
        }
        assert rows[WEIGHT].dtype == np.float32
        return rows

    return run
