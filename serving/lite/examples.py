"""Raw examples as the model's own Transform graph makes them into features and labels.

The features are then what the model reads when it serves, for the test split too, which a pipeline
does not write in transformed form; and a version that was pushed needs nothing but raw examples.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from serving.lite.comparison import Arrays
from serving.lite.job import TRANSFORM_SIGNATURE, LiteExportFailed
from serving.session import SavedModelSession

_BATCH = 64


def read_examples(files: Sequence[Path], at_most: int) -> list[bytes]:
    """Returns the first serialized examples of TFRecord files, compressed if named `.gz`.

    Raises:
        LiteExportFailed: if there are none, or a file cannot be read.
    """
    found: list[bytes] = []
    try:
        for file in sorted(files):
            compression = "GZIP" if file.suffix == ".gz" else ""
            dataset = tf.data.TFRecordDataset(str(file), compression)
            found += list(dataset.take(at_most - len(found)).as_numpy_iterator())
    except tf.errors.OpError as error:
        raise LiteExportFailed(f"examples: {error.message}") from error
    if not found:
        raise LiteExportFailed(f"examples: found none in {', '.join(map(str, files)) or 'no file'}")
    return found


def transform(session: SavedModelSession, examples: Sequence[bytes]) -> dict[str, np.ndarray]:
    """Returns the transformed features and labels of raw examples, [rows, ...] each."""
    (name,) = session.signature(TRANSFORM_SIGNATURE).inputs
    return answers(session, TRANSFORM_SIGNATURE, {name: np.array(examples, object)})


def answers(session: SavedModelSession, signature: str, inputs: Arrays) -> dict[str, np.ndarray]:
    """Returns a signature's outputs for inputs of any number of rows."""
    return joined([session.run(signature, batch) for batch in batches(inputs)])


def batches(inputs: Arrays) -> Iterator[dict[str, np.ndarray]]:
    """Yields inputs [rows, ...] in parts of a few rows."""
    rows = len(next(iter(inputs.values())))
    for first in range(0, rows, _BATCH):
        yield {name: value[first : first + _BATCH] for name, value in inputs.items()}


def joined(parts: Sequence[Arrays]) -> dict[str, np.ndarray]:
    """Returns the outputs of several batches as those of one."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
