"""Faults planted in a model by the step that they begin at, for another process to meet as well."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import trainer_module

_REPOSITORY = Path(trainer_module.__file__).resolve().parent.parent

_COUNTING = '''
import trainer_module
import tensorflow as tf
import tf_keras as keras
from trainer_module.tasks.digits import Digits


class Counting(keras.layers.Layer):
    """Counts the training steps that it has seen in a weight of each replica."""

    def __init__(self, at, **options):
        super().__init__(**options)
        self._at = at

    def build(self, shape):
        self.count = self.add_weight(
            name="count", initializer="zeros", trainable=False, dtype="float32",
            synchronization=tf.VariableSynchronization.ON_READ,
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )

    def next_step(self, training):
        count = self.count.read_value()
        if training:
            self.count.assign_add(1.0)
        return count


class PlantedDigits(Digits):
    def __init__(self, at, **options):
        super().__init__(**options)
        self._at = at
'''


@contextlib.contextmanager
def importable(folder: Path, name: str, source: str) -> Iterator[Path]:
    """Makes a module of a name importable from `folder`, here and by `run_python`.

    Args:
        source: what follows the classes `Counting` and `PlantedDigits` in it.
    """
    (folder / f"{name}.py").write_text(_COUNTING + source)
    sys.path.insert(0, str(folder))
    try:
        yield folder
    finally:
        sys.path.remove(str(folder))


def run_python(
    arguments: Sequence[str], planted: Path, cwd: Path
) -> subprocess.CompletedProcess[str]:
    """Runs Python in a fresh process that can import what is planted."""
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(_REPOSITORY), str(planted)])},
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
