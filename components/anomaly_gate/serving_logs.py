"""Statistics of what a served model was asked, from logs of its requests."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow as tf
import tensorflow_data_validation as tfdv
from apache_beam.io.filesystems import FileSystems
from google.protobuf.message import DecodeError
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2
from tensorflow_serving.apis import prediction_log_pb2
from tfx_bsl.public import tfxio

from serving.prediction_logs import EXAMPLES, exchange

_EXAMPLES_INPUT = ("examples", EXAMPLES)
"""What signatures call an input of serialized examples."""


def serving_statistics(
    pattern: str, pipeline: beam.Pipeline, schema: schema_pb2.Schema, folder: str
) -> statistics_pb2.DatasetFeatureStatisticsList:
    """Returns the statistics of the requests in all files that match.

    Args:
        pattern: of TFRecords, GZIP where the name ends in .gz, of tf.Example or PredictionLog.
        pipeline: runs here; not to have been run.
        schema: says which names are columns; requests that name none of them are passed over.
        folder: that this process and Beam's workers see; keeps what is written.
    """
    columns = frozenset(feature.name for feature in schema.feature)
    source = tfxio.TFExampleBeamRecord(
        physical_format="tfrecord", telemetry_descriptors=["AnomalyGate"]
    )
    output = f"{folder}/serving_statistics"
    with pipeline:
        _ = (
            pipeline
            | "Read" >> beam.io.ReadFromTFRecord(pattern)
            | "Requests" >> beam.FlatMap(requested_examples, columns=columns)
            | "Decode" >> source.BeamSource()
            | "Statistics" >> tfdv.GenerateStatistics(tfdv.StatsOptions())
            | "Write" >> tfdv.WriteStatisticsToTFRecord(output)
        )
    return tfdv.load_statistics(output)


def requested_examples(record: bytes, columns: frozenset[str]) -> Iterator[bytes]:
    """Yields the rows that a record asks about, as serialized examples.

    Args:
        record: a PredictionLog, or a tf.Example. An example has no field that makes a log one.
        columns: of the raw data; a Predict of other inputs, such as transformed ones, yields none.
    """
    try:
        log = prediction_log_pb2.PredictionLog.FromString(record)
    except DecodeError:
        log = prediction_log_pb2.PredictionLog()
    kind = log.WhichOneof("log_type")
    if kind is None:
        yield record
    elif kind in ("predict_log", "classify_log", "regress_log"):
        inputs = exchange(log).inputs
        (only, *others) = inputs
        if only in _EXAMPLES_INPUT and not others and inputs[only].dtype == object:
            yield from inputs[only].reshape(-1)
        elif columns.issuperset(inputs):
            yield from _rows(inputs)


def logs_fingerprint(pattern: str) -> str:
    """Returns a hash of the files that match: names, sizes and times of change."""
    digest = hashlib.sha256(pattern.encode())
    (matched,) = FileSystems.match([pattern])
    for found in sorted(matched.metadata_list, key=lambda file: file.path):
        changed = found.last_updated_in_seconds
        digest.update(f"{found.path} {found.size_in_bytes} {changed}\n".encode())
    return digest.hexdigest()[:16]


def _rows(inputs: dict[str, np.ndarray]) -> Iterator[bytes]:
    for index in range(min(len(np.atleast_1d(values)) for values in inputs.values())):
        example = tf.train.Example()
        for name, values in inputs.items():
            row = np.atleast_1d(values)[index]
            _add(example.features.feature[name], np.asarray(row).reshape(-1))
        yield example.SerializeToString()


def _add(feature: Any, values: np.ndarray) -> None:
    if values.dtype.kind in "OSU":
        feature.bytes_list.value.extend(
            value if isinstance(value, bytes) else str(value).encode() for value in values
        )
    elif values.dtype.kind in "iub":
        feature.int64_list.value.extend(int(value) for value in values)
    else:
        feature.float_list.value.extend(float(value) for value in values)
