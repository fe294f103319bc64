"""Warmup requests: what TF Serving asks a version before it says that the version is available.

A first request of a shape pays for what TensorFlow sets up lazily. TF Serving sends the requests
of `assets.extra/tf_serving_warmup_requests`, an uncompressed TFRecord of PredictionLog, while it
loads a version; a request that fails fails the load
(https://www.tensorflow.org/tfx/serving/saved_model_warmup).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from serving.atomic_files import sync_folder
from serving.config import BatchingConfig
from serving.prediction_logs import read_logs
from serving.saved_model_file import read_signatures
from serving.version_folders import MAX_WARMUP_RECORDS, WARMUP_FILE

__all__ = ["WARMUP_FILE", "warmup_log", "warmup_sizes", "write_warmup_requests"]


def warmup_sizes(batching: BatchingConfig) -> list[int]:
    """Returns the batch sizes that a server under these parameters runs: all that are allowed.

    Where any size up to the largest is allowed, they are 1 and the largest.
    """
    return batching.allowed_batch_sizes or sorted({1, batching.execution_batch_size})


def write_warmup_requests(
    version: Path, logs: Path, sizes: Sequence[int], model_name: str | None = None
) -> None:
    """Gives a version its warmup requests, one for each signature and batch size.

    Where that makes too many, sizes between the smallest and the largest are left out. A
    signature whose batch is of a fixed size is asked once, as in the logs.

    Args:
        version: folder of the SavedModel; is given the file, over one that may be there.
        logs: TFRecord of PredictionLog with a request to each signature, whose rows are repeated
            to fill a batch: reference answers, or earlier warmup requests.
        sizes: of the batches, in increasing order.
        model_name: that the version is served by; None for the one in the logs.

    Raises:
        ValueError: if the folder holds no model to serve, or a request is to no signature of it
            or has no rows.
    """
    definitions = read_signatures(version)
    requests = _largest_requests(logs)
    unknown = sorted(set(requests) - set(definitions))
    if unknown:
        raise ValueError(
            f"signature: found {unknown} in {logs.name}; allowed: {', '.join(sorted(definitions))}"
        )
    sizes = _thinned(sizes, MAX_WARMUP_RECORDS // max(1, len(requests)))
    path = version / WARMUP_FILE
    path.parent.mkdir(exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    with tf.io.TFRecordWriter(str(partial)) as writer:
        for name, log in requests.items():
            for size in sizes if _takes_any_batch(definitions[name]) else [None]:
                writer.write(warmup_log(log, model_name, size).SerializeToString())
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(partial, path)
    sync_folder(path.parent)


def _largest_requests(logs: Path) -> dict[str, prediction_log_pb2.PredictionLog]:
    """Returns for each signature the log with the most rows."""
    found: dict[str, prediction_log_pb2.PredictionLog] = {}
    for log in read_logs(logs):
        name = _request(log).model_spec.signature_name
        if name not in found or log.ByteSize() > found[name].ByteSize():
            found[name] = log
    return found


def _takes_any_batch(definition: Any) -> bool:
    shapes = [tf.TensorShape(info.tensor_shape) for info in definition.inputs.values()]
    return all(shape.rank in (None, 0) or shape[0] is None for shape in shapes)


def _thinned(sizes: Sequence[int], count: int) -> Sequence[int]:
    """Returns at most `count` of the sizes, evenly spread, the smallest and the largest kept."""
    if len(sizes) <= count:
        return sizes
    return [sizes[index] for index in np.linspace(0, len(sizes) - 1, count).round().astype(int)]


def _request(log: prediction_log_pb2.PredictionLog) -> Any:
    return getattr(log, log.WhichOneof("log_type")).request


def warmup_log(
    log: prediction_log_pb2.PredictionLog, model_name: str | None, size: int | None
) -> prediction_log_pb2.PredictionLog:
    """Returns the request of a log with so many rows, None for its own, and without an answer."""
    warmup = prediction_log_pb2.PredictionLog()
    request = _request(log)
    target = getattr(warmup, log.WhichOneof("log_type")).request
    target.CopyFrom(request)
    if model_name is not None:
        target.model_spec.name = model_name
    if size is None:
        return warmup
    if log.HasField("predict_log"):
        for name, value in request.inputs.items():
            rows = _repeated(tf.make_ndarray(value), size)
            target.inputs[name].CopyFrom(tf.make_tensor_proto(rows))
    else:
        examples = request.input.example_list.examples
        chosen = [examples[row] for row in _rows(len(examples), size)]
        target.input.example_list.ClearField("examples")
        target.input.example_list.examples.extend(chosen)
    return warmup


def _repeated(value: np.ndarray, size: int) -> np.ndarray:
    """Returns a batch of `size` rows; what is no batch stays as it is."""
    return value[_rows(len(value), size)] if value.ndim else value


def _rows(count: int, size: int) -> np.ndarray:
    if not count:
        raise ValueError("found no rows in the logs; needed: one or more to fill a batch with")
    return np.arange(size) % count
