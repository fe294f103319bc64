"""AUC of served models on the test split, each asked as its clients ask it.

    python -m benchmarks.pipeline.auc EXAMPLES MODEL:OUTPUT ...

The last line of stdout is JSON: for each model its AUC by the label in float64, and in float32 as
TFX's example computes it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
from sklearn.metrics import roc_auc_score

_BATCH = 512


def main() -> None:
    examples, *models = sys.argv[1:]
    files = sorted(str(path) for path in Path(examples, "Split-test").glob("*"))
    rows = np.array(list(tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator()), object)
    fare, tips = (
        np.array([_first(row, name) for row in rows], np.float64) for name in ("fare", "tips")
    )
    labels = {
        "float64": tips > 0.2 * fare,
        "float32": tips.astype(np.float32) > fare.astype(np.float32) * np.float32(0.2),
    }
    results = []
    for model in models:
        folder, _, output = model.rpartition(":")
        scores = _scores(folder, output, rows)
        results.append({name: roc_auc_score(label, scores) for name, label in labels.items()})
    print(json.dumps(results))


def _first(row: bytes, name: str) -> float:
    return tf.train.Example.FromString(row).features.feature[name].float_list.value[0]


def _scores(folder: str, output: str, rows: np.ndarray) -> np.ndarray:
    """Returns the only score that the model gives of each row, [n]."""
    served = tf.saved_model.load(folder).signatures["serving_default"]
    (name,) = served.structured_input_signature[1]
    return np.concatenate(
        [
            served(**{name: tf.constant(rows[start : start + _BATCH])})[output].numpy().reshape(-1)
            for start in range(0, len(rows), _BATCH)
        ]
    )


if __name__ == "__main__":
    main()
