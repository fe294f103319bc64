"""Requests that a model brings along, run before it answers any other.

They are TF Serving's: `assets.extra/tf_serving_warmup_requests`, a TFRecord of PredictionLog. See
saved_model_warmup_util.cc and saved_model_warmup.cc.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from grpc import StatusCode

from serving.server.answers import DEFAULT_SIGNATURE
from serving.server.errors import ServingError, invalid_argument
from serving.server.servable import Servable
from serving.server.tensorflow_errors import as_serving_error
from serving.version_folders import MAX_WARMUP_RECORDS, WARMUP_FILE


def warm_up(servable: Servable, folder: Path) -> int:
    """Runs the requests beside a SavedModel, on this thread; returns how many there were.

    Raises:
        ServingError: if a record is broken, or the model fails it, or there are too many.
    """
    path = folder / WARMUP_FILE
    if not path.exists():
        return 0
    count = 0
    for log in _records(path):
        count += 1
        if count > MAX_WARMUP_RECORDS:
            raise invalid_argument(
                f"Number of warmup records exceeds the maximum ({MAX_WARMUP_RECORDS}) at {path}"
            )
        try:
            _run(servable, log)
        except ServingError as error:
            raise ServingError(error.code, f"warmup record {count}: {error.message}") from error
    return count


def _records(path: Path) -> Any:
    import tensorflow as tf
    from google.protobuf.message import DecodeError
    from tensorflow_serving.apis import prediction_log_pb2

    try:
        for record in tf.compat.v1.io.tf_record_iterator(str(path)):
            yield prediction_log_pb2.PredictionLog.FromString(record)
    except DecodeError as error:
        raise invalid_argument(f"Failed to parse warmup record from {path}") from error
    except tf.errors.DataLossError as error:
        raise ServingError(
            StatusCode.DATA_LOSS,
            f"{error.message}. Please verify your warmup data is in TFRecord format.",
        ) from error
    except tf.errors.OpError as error:
        raise as_serving_error(error) from error


def _run(servable: Servable, log: Any) -> None:
    kind = log.WhichOneof("log_type")
    if kind == "predict_log":
        _predict(servable, log.predict_log.request)
    elif kind in ("classify_log", "regress_log"):
        request = getattr(log, kind).request
        _infer(servable, request.model_spec.signature_name, request.input)
    elif kind == "multi_inference_log":
        request = log.multi_inference_log.request
        for task in request.tasks:
            _infer(servable, task.model_spec.signature_name, request.input)
    elif kind is not None:
        raise ServingError(StatusCode.UNIMPLEMENTED, f"Unsupported log_type for warmup: {kind}")


def _predict(servable: Servable, request: Any) -> None:
    import tensorflow as tf

    try:
        inputs = {alias: tf.make_ndarray(value) for alias, value in request.inputs.items()}
    except (ValueError, TypeError) as error:
        raise invalid_argument(f"a tensor that cannot be read: {error}") from error
    signature = request.model_spec.signature_name or DEFAULT_SIGNATURE
    servable.run_now(signature, inputs, list(request.output_filter) or None)


def _infer(servable: Servable, signature: str, examples: Any) -> None:
    from serving.server.examples import serialized_examples

    serialized = serialized_examples(examples)
    servable.run_now(signature or DEFAULT_SIGNATURE, {"inputs": serialized})
