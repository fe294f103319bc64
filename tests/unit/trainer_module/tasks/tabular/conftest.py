"""Tables small enough to check by hand, through the real Transform."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip
import tensorflow_transform as tft  # isort: skip
import tensorflow_transform.beam as tft_beam  # isort: skip
from tensorflow_transform.tf_metadata import dataset_metadata, schema_utils  # isort: skip

from trainer_module.tasks.tabular import Tabular  # isort: skip

Row = Mapping[str, Any]
TYPES = {int: tf.int64, float: tf.float32, str: tf.string, bytes: tf.string}
ROW = "row number"


@dataclass(frozen=True)
class Table:
    """A table, as Transform takes it and as it leaves it.

    Attributes:
        task: whose table it is.
        rows: raw, lists of values.
        spec: of the raw columns.
        features: transformed, in the order of `rows`.
        output: Transform's.
    """

    task: Tabular
    rows: Sequence[Row]
    spec: Mapping[str, tf.io.VarLenFeature]
    features: Mapping[str, np.ndarray]
    output: tft.TFTransformOutput

    def served(self, rows: Sequence[Row], leave_out: Sequence[str] = ()) -> dict[str, np.ndarray]:
        """Returns the features that Transform's graph computes of rows, as a server asks it."""
        layer = self.output.transform_features_layer()
        spec = {name: kind for name, kind in self.spec.items() if name not in leave_out}
        parsed = tf.io.parse_example([example(row) for row in rows], spec)
        return {name: value.numpy() for name, value in layer(parsed).items()}


def example(row: Row) -> bytes:
    """Returns a row as a serialized tf.Example."""
    features = tf.train.Features()
    for name, values in row.items():
        if not values:
            continue
        if isinstance(values[0], int):
            features.feature[name].int64_list.value.extend(values)
        elif isinstance(values[0], float):
            features.feature[name].float_list.value.extend(values)
        else:
            texts = [v.encode() if isinstance(v, str) else v for v in values]
            features.feature[name].bytes_list.value.extend(texts)
    return tf.train.Example(features=features).SerializeToString()


def as_lists(row: Row) -> dict[str, list]:
    """Returns a row as lists of values, None being none."""
    return {
        name: value if isinstance(value, list) else [] if value is None else [value]
        for name, value in row.items()
    }


@pytest.fixture(scope="session")
def transform(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Table]:
    """Analyzes and transforms rows, one value or a list of them each, with the task's options."""

    def run(
        rows: Sequence[Row],
        options: Mapping[str, Any],
        label: str = "label",
        order: Sequence[int] | None = None,
        batch: int = 3,
    ) -> Table:
        task = Tabular(**options)
        lists = [as_lists(row) for row in rows]
        names = sorted({name for row in lists for name in row})
        kinds = {n: type(next(row[n][0] for row in lists if row.get(n))) for n in names}
        spec = {n: tf.io.VarLenFeature(TYPES[kind]) for n, kind in kinds.items()}

        def numbered(inputs: dict) -> dict:
            inputs = dict(inputs)
            number = inputs.pop(ROW)
            features = Tabular.preprocessing_fn(inputs, label=label, **task.transform_options())
            return {**features, ROW: tf.sparse.to_dense(number)[:, 0]}

        schema = schema_utils.schema_from_feature_spec({**spec, ROW: tf.io.VarLenFeature(tf.int64)})
        indices = range(len(rows)) if order is None else order
        raw = [
            {name: np.array(v, kinds[name] if v else None) for name, v in lists[i].items()}
            | {name: np.array([]) for name in names if name not in lists[i]}
            | {ROW: np.array([i])}
            for i in indices
        ]
        folder = tmp_path_factory.mktemp("transform")
        with tft_beam.Context(temp_dir=str(folder / "temp"), desired_batch_size=batch):
            (transformed, _), transform_fn = (
                raw,
                dataset_metadata.DatasetMetadata(schema),
            ) | tft_beam.AnalyzeAndTransformDataset(numbered)
            _ = transform_fn | tft_beam.WriteTransformFn(str(folder / "output"))
        in_order = sorted(transformed, key=lambda row: int(row[ROW]))
        features = {
            name: np.stack([row[name] for row in in_order]) for name in in_order[0] if name != ROW
        }
        output = tft.TFTransformOutput(str(folder / "output"))
        return Table(task, lists, spec, features, output)

    return run
