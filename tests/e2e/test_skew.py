"""The same raw examples, whichever way they are asked about: the answers of the model in memory.

The Trainer keeps what its model answered before it was saved; every way that leads out of the
pipeline is held to that.
"""

from __future__ import annotations

import base64
import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pytest

from serving.launch import server_flags
from serving.version_folders import newest_version
from tests.serving_process import ModelServer, running

TOLERANCE = 1e-5
BATCH = 50
"""Rows a request; less than what the configurations let a batch have."""

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Question:
    """What a signature was asked, and what the model in memory answered."""

    signature: str
    inputs: Arrays
    answers: Arrays

    def batches(self) -> Iterator[dict[str, np.ndarray]]:
        rows = len(next(iter(self.inputs.values())))
        for start in range(0, rows, BATCH):
            yield {name: value[start : start + BATCH] for name, value in self.inputs.items()}


@dataclass(frozen=True)
class Pushed:
    """A pushed version, and what the Trainer kept of it."""

    config: str
    workdir: Path
    folder: Path
    questions: Mapping[str, Question]

    @property
    def name(self) -> str:
        return self.folder.parent.name


def _pushed(config: str, run: Any, workdir: Path) -> Pushed:
    import tensorflow as tf

    # Other tests may have pushed since; what a server answers by is the newest.
    newest = newest_version(Path(run.summary["servable"]).parent)
    assert newest is not None
    folder = newest
    manifest = json.loads((folder / "assets.extra" / "tapeline.json").read_text())
    model = Path(manifest["model_uri"])
    reference = model.parent.parent / "model_run" / model.name / "reference_answers.tfrecord"
    questions = [_question(r) for r in tf.compat.v1.io.tf_record_iterator(str(reference))]
    return Pushed(config, workdir, folder, {q.signature: q for q in questions})


def _question(record: bytes) -> Question:
    import tensorflow as tf
    from tensorflow_serving.apis import prediction_log_pb2

    log = prediction_log_pb2.PredictionLog.FromString(record)
    kind = log.WhichOneof("log_type")
    request, response = getattr(log, kind).request, getattr(log, kind).response
    if kind == "predict_log":
        inputs = {name: tf.make_ndarray(value) for name, value in request.inputs.items()}
        answers = {name: tf.make_ndarray(value) for name, value in response.outputs.items()}
        return Question(request.model_spec.signature_name, inputs, answers)
    examples = [e.SerializeToString() for e in request.input.example_list.examples]
    if kind == "classify_log":
        rows = response.result.classifications
        answers = {
            "classes": np.array([[c.label.encode() for c in row.classes] for row in rows], object),
            "scores": np.array([[c.score for c in row.classes] for row in rows]),
        }
    else:
        answers = {"outputs": np.array([row.value for row in response.result.regressions])}
    return Question(
        request.model_spec.signature_name, {"inputs": np.array(examples, object)}, answers
    )


def _differences(question: Question, parts: list[Arrays]) -> dict[str, float]:
    """Returns the largest difference of each output, relative to 1 or to the value if larger."""
    found: dict[str, float] = {}
    for name, expected in question.answers.items():
        value = np.concatenate([np.asarray(part[name]) for part in parts])
        assert value.shape == expected.shape, name
        if expected.dtype.kind == "f":
            error = np.abs(value.astype(np.float64) - expected) / np.maximum(1, np.abs(expected))
            found[name] = float(np.max(error))
        else:
            texts = [[_as_bytes(item) for item in array.ravel()] for array in (value, expected)]
            found[name] = 0.0 if texts[0] == texts[1] else np.inf
    return found


def _as_bytes(value: Any) -> Any:
    return value.encode() if isinstance(value, str) else value


def _plain(value: Any) -> Any:
    """Returns an array's row as JSON has it; bytes as TF Serving takes them."""
    if isinstance(value, bytes):
        return {"b64": base64.b64encode(value).decode()}
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


def _post(server: ModelServer, pushed: Pushed, verb: str, body: dict[str, Any]) -> Any:
    url = f"{server.rest_url}/v1/models/{pushed.name}:{verb}"
    answer = httpx.post(url, json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()


def ask_session(pushed: Pushed, question: Question, server: ModelServer) -> list[Arrays]:
    from serving.session import SavedModelSession

    session = SavedModelSession(pushed.folder)
    return [session.run(question.signature, batch) for batch in question.batches()]


def ask_rest_rows(pushed: Pushed, question: Question, server: ModelServer) -> list[Arrays]:
    parts = []
    for batch in question.batches():
        rows = [
            dict(zip(batch, map(_plain, values), strict=True))
            for values in zip(*batch.values(), strict=True)
        ]
        body = {"signature_name": question.signature, "instances": rows}
        found = _post(server, pushed, "predict", body)["predictions"]
        if len(question.answers) == 1:
            (name,) = question.answers
            found = [{name: row} for row in found]
        parts.append({name: [_text(row[name]) for row in found] for name in question.answers})
    return parts


def ask_rest_columns(pushed: Pushed, question: Question, server: ModelServer) -> list[Arrays]:
    parts = []
    for batch in question.batches():
        columns = {name: [_plain(row) for row in value] for name, value in batch.items()}
        body = {"signature_name": question.signature, "inputs": columns}
        found = _post(server, pushed, "predict", body)["outputs"]
        if len(question.answers) == 1:
            (name,) = question.answers
            found = {name: found}
        parts.append({name: [_text(row) for row in value] for name, value in found.items()})
    return parts


def ask_grpc(pushed: Pushed, question: Question, server: ModelServer) -> list[Arrays]:
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    parts = []
    with grpc.insecure_channel(server.grpc_target) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        for batch in question.batches():
            request = predict_pb2.PredictRequest()
            request.model_spec.name = pushed.name
            request.model_spec.signature_name = question.signature
            for name, value in batch.items():
                request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
            outputs = stub.Predict(request, timeout=60).outputs
            parts.append({name: tf.make_ndarray(value) for name, value in outputs.items()})
    return parts


def _text(value: Any) -> Any:
    if isinstance(value, dict):
        return base64.b64decode(value["b64"])
    return value


WAYS: dict[str, Callable[[Pushed, Question, ModelServer], list[Arrays]]] = {
    "V1 session": ask_session,
    "REST rows": ask_rest_rows,
    "REST columns": ask_rest_columns,
    "gRPC": ask_grpc,
}


@contextlib.contextmanager
def _served(pushed: Pushed, folder: Path) -> Iterator[ModelServer]:
    flags = server_flags(pushed.folder.parent.parent, 0, 0)
    flags = [flag for flag in flags if "port=" not in flag]  # the harness chooses free ones
    command = [sys.executable, "-m", "serving.server"]
    with running(command, [*flags, "--processes=1"], folder) as server:
        server.wait_until_available(pushed.name)
        yield server


@pytest.fixture(scope="module")
def digits(digits_run, workdir) -> Pushed:
    return _pushed("configs/digits.yaml", digits_run, workdir)


@pytest.fixture(scope="module")
def digits_server(digits, tmp_path_factory):
    with _served(digits, tmp_path_factory.mktemp("digits-server")) as server:
        yield server


@pytest.fixture(scope="module")
def breast_cancer(breast_cancer_run, breast_cancer_workdir) -> Pushed:
    return _pushed("configs/breast_cancer.yaml", breast_cancer_run, breast_cancer_workdir)


@pytest.fixture(scope="module")
def breast_cancer_server(breast_cancer, tmp_path_factory):
    with _served(breast_cancer, tmp_path_factory.mktemp("breast-cancer-server")) as server:
        yield server


def _assert_no_skew(pushed: Pushed, server: ModelServer, way: str) -> None:
    found = {
        (question.signature, name): difference
        for question in pushed.questions.values()
        for name, difference in _differences(question, WAYS[way](pushed, question, server)).items()
    }
    assert len(found) >= len(pushed.questions)
    print(f"{pushed.name}, {way}: at most {max(found.values()):.2g} from the model in memory")
    assert max(found.values()) <= TOLERANCE, found


def test_digits_reference_is_of_200_raw_examples_and_every_signature(digits):
    assert digits.questions.keys() == {
        "serving_default", "serving_raw", "embedding", "classify", "transformed",
        "transform_features",
    }  # fmt: skip
    rows = {len(next(iter(q.inputs.values()))) for q in digits.questions.values()}
    assert rows == {200}


@pytest.mark.parametrize("way", WAYS)
def test_digits_signatures_answer_as_the_model_in_memory(digits, digits_server, way):
    _assert_no_skew(digits, digits_server, way)


def test_digits_classify_over_rest_and_grpc_answers_as_the_model_in_memory(digits, digits_server):
    question = digits.questions["classify"]
    _assert_examples_agree(digits, digits_server, question, "classify")


def test_digits_lite_float32_answers_as_the_model_in_memory(digits, digits_lite):
    import tensorflow as tf

    assert digits_lite.code == 0, digits_lite
    folder = digits.workdir / json.loads(digits_lite.stdout)["folder"]
    interpreter = tf.lite.Interpreter(str(folder / "float32.tflite"))
    question = digits.questions["transformed"]
    run = interpreter.get_signature_runner()
    answers = {name: np.array(value) for name, value in run(**question.inputs).items()}
    differences = _differences(question, [answers])
    assert max(differences.values()) <= TOLERANCE, differences


@pytest.mark.parametrize("way", WAYS)
def test_breast_cancer_signatures_answer_as_the_model_in_memory(
    breast_cancer, breast_cancer_server, way
):
    _assert_no_skew(breast_cancer, breast_cancer_server, way)


@pytest.mark.parametrize("verb", ["classify", "regress"])
def test_breast_cancer_verbs_over_rest_and_grpc_answer_as_the_model_in_memory(
    breast_cancer, breast_cancer_server, verb
):
    question = breast_cancer.questions[verb]
    _assert_examples_agree(breast_cancer, breast_cancer_server, question, verb)


def _assert_examples_agree(
    pushed: Pushed, server: ModelServer, question: Question, verb: str
) -> None:
    """Asks about tf.Examples by the verb that is made for them, not by predict."""
    ways = {
        "REST": [_rest_examples(server, pushed, b["inputs"], verb) for b in question.batches()],
        "gRPC": [_grpc_examples(server, pushed, b["inputs"], verb) for b in question.batches()],
    }
    for way, parts in ways.items():
        differences = _differences(question, parts)
        assert max(differences.values()) <= TOLERANCE, (way, differences)


def _rest_examples(server: ModelServer, pushed: Pushed, serialized: Any, verb: str) -> Arrays:
    import tensorflow as tf

    examples = []
    for text in serialized:
        features = tf.train.Example.FromString(text).features.feature
        examples.append(
            {
                name: [_plain(v) for v in getattr(feature, feature.WhichOneof("kind")).value]
                for name, feature in features.items()
            }
        )
    rows = _post(server, pushed, verb, {"signature_name": verb, "examples": examples})["results"]
    if verb == "regress":
        return {"outputs": np.array(rows)}
    return {
        "classes": np.array([[label for label, _ in row] for row in rows], object),
        "scores": np.array([[score for _, score in row] for row in rows]),
    }


def _grpc_examples(server: ModelServer, pushed: Pushed, serialized: Any, verb: str) -> Arrays:
    from tensorflow_serving.apis import (
        classification_pb2,
        prediction_service_pb2_grpc,
        regression_pb2,
    )

    kinds = {
        "classify": classification_pb2.ClassificationRequest,
        "regress": regression_pb2.RegressionRequest,
    }
    request = kinds[verb]()
    request.model_spec.name, request.model_spec.signature_name = pushed.name, verb
    for text in serialized:
        request.input.example_list.examples.add().ParseFromString(text)
    with grpc.insecure_channel(server.grpc_target) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        if verb == "regress":
            found = stub.Regress(request, timeout=60).result.regressions
            return {"outputs": np.array([row.value for row in found])}
        rows = stub.Classify(request, timeout=60).result.classifications
    return {
        "classes": np.array([[c.label for c in row.classes] for row in rows], object),
        "scores": np.array([[c.score for c in row.classes] for row in rows]),
    }
