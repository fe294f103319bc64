"""A task of rows that may lack anything, hold several values, and have names of all kinds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip
import tensorflow_transform as tft  # isort: skip
import tensorflow_transform.beam as tft_beam  # isort: skip
import tf_keras as keras  # isort: skip
from tensorflow_metadata.proto.v0 import schema_pb2  # isort: skip
from tensorflow_transform.tf_metadata import dataset_metadata  # isort: skip

from serving.warmup import write_warmup_requests  # isort: skip
from trainer_module.export import ServingModel  # isort: skip
from trainer_module.raw_features import single_valued, spec_of_schema  # isort: skip
from trainer_module.reference import write_reference_answers  # isort: skip
from trainer_module.tasks.base import Classification, Head, Task  # isort: skip
from trainer_module.tasks.losses import binary_hit, sigmoid_cross_entropy  # isort: skip

SIZE, ROOMS, TOWN, TAGS, BIDS, RENT, LABEL = (
    "größe (cm)", "rooms", "town/quarter", "tags", "bids", "rent", "is dear"
)  # fmt: skip

SCHEMA = schema_pb2.Schema()
for _name, _type, _values in (
    (SIZE, schema_pb2.FLOAT, 1),
    (ROOMS, schema_pb2.INT, 1),
    (TOWN, schema_pb2.BYTES, 1),
    (TAGS, schema_pb2.BYTES, 3),
    (BIDS, schema_pb2.INT, 4),
    (RENT, schema_pb2.FLOAT, 1),
    (LABEL, schema_pb2.INT, 1),
):
    SCHEMA.feature.add(name=_name, type=_type, value_count={"min": 1, "max": _values})

ROWS: list[dict[str, Any]] = [
    {SIZE: [61.5], ROOMS: [2], TOWN: ["Köln"], TAGS: ["old", "garden"], BIDS: [7, 9], RENT: [8.0]},
    {SIZE: [], ROOMS: [3], TOWN: ["Bonn"], TAGS: [], BIDS: [], RENT: [4.0]},
    {SIZE: [80.25], ROOMS: [], TOWN: [], TAGS: ["new", "quiet", "old"], BIDS: [3], RENT: [9.5]},
    {SIZE: [44.0], ROOMS: [1], TOWN: ["Köln"], TAGS: ["new"], BIDS: [1, 2, 3, 4], RENT: []},
    {SIZE: [], ROOMS: [], TOWN: [], TAGS: [], BIDS: [], RENT: [7.0]},
    {SIZE: [-1.5], ROOMS: [-4], TOWN: ["nowhere"], TAGS: ["odd"], BIDS: [-8], RENT: [1.0]},
]  # fmt: skip
for _number, _row in enumerate(ROWS):
    _row[LABEL] = [_number % 2]


def preprocessing_fn(inputs: dict[str, tf.SparseTensor], label: str) -> dict[str, tf.Tensor]:
    """Makes numbers of all; the model reads none that comes from the rent."""
    size = inputs[SIZE]
    mean = tf.cast(tft.mean(tf.cast(size.values, tf.float64)), tf.float32)
    town = _single(inputs[TOWN], "(none)")
    tags = tft.compute_and_apply_vocabulary(inputs[TAGS], num_oov_buckets=1)
    return {
        SIZE: _single(tf.SparseTensor(size.indices, size.values - mean, size.dense_shape), 0.0),
        "has size": _single(_ones(size), 0.0),
        "rooms": tf.cast(_single(inputs[ROOMS], -1), tf.float32),
        "town": tf.cast(tft.compute_and_apply_vocabulary(town), tf.float32),
        "tags": _sum(tags, tf.one_hot(tags.values, 4)),
        "bids": _sum(inputs[BIDS], tf.cast(inputs[BIDS].values, tf.float32)),
        "label": _single(inputs[label], -1),
        "rent": _single(inputs[RENT], 0.0),
    }


def _single(sparse: tf.SparseTensor, default: Any) -> tf.Tensor:
    """Returns a feature of one value a row, [b]; it may be that no row of a batch has it."""
    column = tf.SparseTensor(sparse.indices, sparse.values, [sparse.dense_shape[0], 1])
    return tf.sparse.to_dense(column, default)[:, 0]


def _ones(sparse: tf.SparseTensor) -> tf.SparseTensor:
    return tf.SparseTensor(sparse.indices, tf.ones_like(sparse.values), sparse.dense_shape)


def _sum(sparse: tf.SparseTensor, values: tf.Tensor) -> tf.Tensor:
    """Returns the sum of what each row has of `values`, one for each of the feature's."""
    rows = tf.cast(sparse.indices[:, 0], tf.int32)
    return tf.math.unsorted_segment_sum(values, rows, tf.cast(sparse.dense_shape[0], tf.int32))


class Flats(Task):
    """Whether a flat is dear: one dense layer on all that is known of it."""

    preprocessing_fn = staticmethod(preprocessing_fn)
    sparse_inputs = True

    @property
    def heads(self) -> Sequence[Head]:
        hit = {"accuracy": binary_hit}
        return [Head("dear", "label", sigmoid_cross_entropy, served="score", metrics=hit)]

    def build_model(self, feature_spec: Mapping[str, Any]) -> keras.Model:
        inputs = {name: keras.Input((), name=plain) for name, plain in READ.items()}
        inputs["tags"] = keras.Input((4,), name="tags")
        columns = [tf.expand_dims(inputs[name], 1) for name in READ]
        embedding = keras.layers.Concatenate()([*columns, inputs["tags"]])
        logits = keras.layers.Dense(1)(embedding)[:, 0]
        return keras.Model(inputs, {"dear": logits, "embedding": embedding})

    def serving_outputs(self, outputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        score = tf.sigmoid(outputs["dear"])
        return {"score": score, "label": tf.where(score > 0.5, "dear", "cheap")}

    def classification(self, outputs: Mapping[str, tf.Tensor]) -> Classification:
        score = tf.sigmoid(outputs["dear"])
        return Classification.of_all(["cheap", "dear"], tf.stack([1 - score, score], axis=1))

    def regression(self, outputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        return tf.sigmoid(outputs["dear"])


READ = {SIZE: "size", "has size": "has_size", "rooms": "rooms", "town": "town", "bids": "bids"}


def example(row: Mapping[str, list[Any]]) -> bytes:
    """Returns a row as ingestion writes it: of what is missing there is no feature."""
    message = tf.train.Example()
    for name, values in row.items():
        if not values:
            continue
        feature = message.features.feature[name]
        if isinstance(values[0], str):
            feature.bytes_list.value.extend(value.encode() for value in values)
        elif isinstance(values[0], int):
            feature.int64_list.value.extend(values)
        else:
            feature.float_list.value.extend(values)
    return message.SerializeToString()


def analyze(folder: Path) -> tuple[tft.TFTransformOutput, list[dict[str, Any]]]:
    """Does with the rows what the Transform component would.

    Returns:
        Its output, and the features of each row that the training gets.
    """
    metadata = dataset_metadata.DatasetMetadata(SCHEMA)
    with tft_beam.Context(temp_dir=str(folder / "temp")):
        (features, _), function = (ROWS, metadata) | tft_beam.AnalyzeAndTransformDataset(
            lambda inputs: preprocessing_fn(inputs, LABEL)
        )
        _ = function | tft_beam.WriteTransformFn(str(folder / "output"))
    return tft.TFTransformOutput(str(folder / "output")), features


def make_serving(transform: tft.TFTransformOutput) -> ServingModel:
    """Returns the model with its signatures; its weights are the same each time."""
    keras.utils.set_random_seed(0)
    task = Flats()
    model = task.build_model(transform.transformed_feature_spec())
    spec, single = spec_of_schema(SCHEMA), single_valued(SCHEMA)
    return ServingModel(task, model, transform, spec, LABEL, single)


def write_flats_model(version: Path, temporary: Path) -> Path:
    """Writes a version with its warmup requests; returns its folder."""
    serving = make_serving(analyze(temporary)[0])
    serving.save(str(version))
    answers = temporary / "reference_answers.tfrecord"
    write_reference_answers(serving, [example(row) for row in ROWS], str(answers))
    write_warmup_requests(version, answers, [1, 4], version.parent.name)
    return version
