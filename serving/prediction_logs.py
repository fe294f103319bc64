"""TF Serving's logs of requests, as the arrays that a signature takes and gives.

A PredictionLog (tensorflow_serving/apis/prediction_log.proto) holds a request and, if it was
answered, the response. The exporter leaves reference answers in this form, and TF Serving reads
warmup requests in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

EXAMPLES = "inputs"
"""What Classify and Regress call their one input."""


@dataclass(frozen=True)
class Exchange:
    """A request of a log, and its answer.

    Attributes:
        signature: whom it asks.
        method: that the signature has to have for it; None for Predict, which takes any.
        inputs: one array an input.
        outputs: one array an output; none if the log holds no response.
    """

    signature: str
    method: str | None
    inputs: dict[str, np.ndarray]
    outputs: dict[str, np.ndarray]


def read_logs(path: Path) -> Iterator[prediction_log_pb2.PredictionLog]:
    """Yields the records of an uncompressed TFRecord of PredictionLog.

    Raises:
        tf.errors.OpError: if the file is missing or broken.
        google.protobuf.message.DecodeError: if a record is no PredictionLog.
    """
    for record in tf.compat.v1.io.tf_record_iterator(str(path)):
        yield prediction_log_pb2.PredictionLog.FromString(record)


def exchange(log: prediction_log_pb2.PredictionLog) -> Exchange:
    """Returns what a log of Predict, Classify or Regress asked and was answered.

    Raises:
        ValueError: if it is a log of something else, or its input is no list of examples.
    """
    kind = log.WhichOneof("log_type")
    if kind == "predict_log":
        found = log.predict_log
        inputs, outputs = _arrays(found.request.inputs), _arrays(found.response.outputs)
        method = None
    elif kind == "classify_log":
        found = log.classify_log
        inputs, outputs = _examples(found.request), _classes(found.response.result)
        method = tf.saved_model.CLASSIFY_METHOD_NAME
    elif kind == "regress_log":
        found = log.regress_log
        inputs, outputs = _examples(found.request), _values(found.response.result)
        method = tf.saved_model.REGRESS_METHOD_NAME
    else:
        raise ValueError(f"log_type: found {kind}; allowed: predict_log, classify_log, regress_log")
    return Exchange(found.request.model_spec.signature_name, method, inputs, outputs)


def _arrays(tensors: Any) -> dict[str, np.ndarray]:
    return {name: tf.make_ndarray(value) for name, value in tensors.items()}


def _examples(request: Any) -> dict[str, np.ndarray]:
    kind = request.input.WhichOneof("kind")
    if kind != "example_list":
        raise ValueError(f"input: found {kind}; allowed: example_list")
    examples = [one.SerializeToString() for one in request.input.example_list.examples]
    return {EXAMPLES: np.array(examples, dtype=object)}


def _classes(result: Any) -> dict[str, np.ndarray]:
    rows = [row.classes for row in result.classifications]
    if not rows:
        return {}
    labels = [[found.label.encode() for found in row] for row in rows]
    scores = [[found.score for found in row] for row in rows]
    return {"classes": np.array(labels, dtype=object), "scores": np.array(scores, np.float32)}


def _values(result: Any) -> dict[str, np.ndarray]:
    values = [row.value for row in result.regressions]
    return {"outputs": np.array(values, np.float32)} if values else {}
