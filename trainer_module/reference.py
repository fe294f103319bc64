"""Answers of the model in memory, kept so that the exported one can be held to them.

One PredictionLog a signature, in TensorFlow Serving's own format: the request with real raw
examples, and the response that the model gave before it was saved. A server is warmed up with the
same requests.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from trainer_module.export import ServingModel, Tensors
from trainer_module.tasks.base import CLASSIFY, REGRESS

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


def _log(signature: str, inputs: Tensors, outputs: Tensors) -> prediction_log_pb2.PredictionLog:
    log = prediction_log_pb2.PredictionLog()
    if signature == CLASSIFY:
        _fill_classify(log.classify_log, inputs["inputs"], outputs)
    elif signature == REGRESS:
        _fill_regress(log.regress_log, inputs["inputs"], outputs)
    else:
        _fill_predict(log.predict_log, inputs, outputs)
    kind = log.WhichOneof("log_type")
    getattr(log, kind).request.model_spec.signature_name = signature
    return log


def _fill_predict(log: prediction_log_pb2.PredictLog, inputs: Tensors, outputs: Tensors) -> None:
    for tensors, fields in (
        (inputs, log.request.inputs),
        (outputs, log.response.outputs),
    ):
        for name, value in tensors.items():
            fields[name].CopyFrom(tf.make_tensor_proto(value.numpy()))


def _fill_classify(
    log: prediction_log_pb2.ClassifyLog, examples: tf.Tensor, outputs: Tensors
) -> None:
    _add_examples(log.request, examples)
    rows = zip(outputs["classes"].numpy(), outputs["scores"].numpy(), strict=True)
    for classes, scores in rows:
        row = log.response.result.classifications.add()
        for label, score in zip(classes, scores, strict=True):
            row.classes.add(label=label.decode(), score=score)


def _fill_regress(
    log: prediction_log_pb2.RegressLog, examples: tf.Tensor, outputs: Tensors
) -> None:
    _add_examples(log.request, examples)
    for value in outputs["outputs"].numpy():
        log.response.result.regressions.add(value=value)


def _add_examples(request: Any, examples: tf.Tensor) -> None:
    for serialized in examples.numpy():
        request.input.example_list.examples.add().ParseFromString(serialized)
