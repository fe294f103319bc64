"""Answers of the model in memory, kept so that the exported one can be held to them.

One PredictionLog a signature, in TensorFlow Serving's own format: the request with real raw
examples, and the response that the model gave before it was saved. The same file can warm up a
server.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from trainer_module.export import ServingModel

FILE_NAME = "reference_answers.tfrecord"


def read_serialized(file_patterns: Sequence[str], count: int) -> list[bytes]:
    """Returns up to `count` serialized examples of GZIP TFRecords."""
    files = sorted(name for pattern in file_patterns for name in tf.io.gfile.glob(pattern))
    records = tf.data.TFRecordDataset(files, compression_type="GZIP").take(count)
    return [record.numpy() for record in records]


def write_reference_answers(serving: ServingModel, examples: Sequence[bytes], path: str) -> None:
    """Asks every signature about the examples and writes questions and answers to `path`."""
    serialized = tf.constant(list(examples))
    with tf.io.TFRecordWriter(path) as writer:
        for name, function in serving.signatures.items():
            inputs = serving.inputs(name, serialized)
            writer.write(_log(name, inputs, function(**inputs)).SerializeToString())


def _log(
    signature: str, inputs: dict[str, tf.Tensor], outputs: dict[str, tf.Tensor]
) -> prediction_log_pb2.PredictionLog:
    log = prediction_log_pb2.PredictionLog()
    log.predict_log.request.model_spec.signature_name = signature
    for tensors, fields in (
        (inputs, log.predict_log.request.inputs),
        (outputs, log.predict_log.response.outputs),
    ):
        for name, value in tensors.items():
            fields[name].CopyFrom(tf.make_tensor_proto(value.numpy()))
    return log
