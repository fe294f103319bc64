"""The requests that a version brings along run before it answers any other."""

import asyncio

import numpy as np
import pytest
import tensorflow as tf
from grpc import StatusCode
from tensorflow_serving.apis import prediction_log_pb2

from serving.config import BatchingConfig
from serving.server.batching import BatchScheduler
from serving.server.errors import ServingError
from serving.server.loader import Loader, LoadOptions
from serving.server.warmup import warm_up
from serving.server.workers import Workers


class RecordingServable:
    """Keeps what it is asked."""

    def __init__(self):
        self.asked = []

    def run_now(self, signature, inputs, outputs=None):
        self.asked.append((signature, {name: v.tolist() for name, v in inputs.items()}, outputs))
        return {}


def predict_log(signature, outputs=(), **inputs):
    log = prediction_log_pb2.PredictionLog()
    request = log.predict_log.request
    request.model_spec.signature_name = signature
    request.output_filter.extend(outputs)
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return log


def example(value, name="x"):
    message = tf.train.Example()
    message.features.feature[name].float_list.value.append(value)
    return message


def classify_log(*values, signature="classify"):
    log = prediction_log_pb2.PredictionLog()
    request = log.classify_log.request
    request.model_spec.signature_name = signature
    request.input.example_list.examples.extend(example(value) for value in values)
    return log


def features(serialized):
    """Returns the features of a serialized tf.Example."""
    parsed = tf.train.Example.FromString(serialized).features.feature
    return {name: list(value.float_list.value) for name, value in parsed.items()}


def test_warm_up_when_there_is_no_file_then_does_nothing(tmp_path):
    assert warm_up(RecordingServable(), tmp_path) == 0


def test_warm_up_when_predict_requests_are_there_then_each_is_run_once(tmp_path, write_warmup):
    write_warmup(
        tmp_path, predict_log("", x=[1.0, 2.0]), predict_log("loud", ["loud"], text=[b"a\0"])
    )
    servable = RecordingServable()
    assert warm_up(servable, tmp_path) == 2
    assert servable.asked == [
        ("serving_default", {"x": [1.0, 2.0]}, None),
        ("loud", {"text": [b"a\0"]}, ["loud"]),
    ]


@pytest.mark.parametrize("kind", ["classify_log", "regress_log"])
def test_warm_up_when_examples_are_there_then_go_serialized_to_the_one_input(
    tmp_path, write_warmup, kind
):
    log = prediction_log_pb2.PredictionLog()
    request = getattr(log, kind).request
    request.input.example_list.examples.extend([example(1), example(2)])
    write_warmup(tmp_path, log)
    servable = RecordingServable()
    warm_up(servable, tmp_path)
    [(signature, inputs, _)] = servable.asked
    assert signature == "serving_default"
    assert [features(item) for item in inputs["inputs"]] == [{"x": [1]}, {"x": [2]}]


def test_warm_up_when_examples_have_a_context_then_it_is_in_each_and_their_own_counts(
    tmp_path, write_warmup
):
    log = prediction_log_pb2.PredictionLog()
    listed = log.classify_log.request.input.example_list_with_context
    listed.context.CopyFrom(example(9))
    listed.context.features.feature["more"].float_list.value.append(8)
    listed.examples.extend([example(1), example(2, "y")])
    write_warmup(tmp_path, log)
    servable = RecordingServable()
    warm_up(servable, tmp_path)
    [(_, inputs, _)] = servable.asked
    assert [features(item) for item in inputs["inputs"]] == [
        {"x": [1], "more": [8]},
        {"x": [9], "more": [8], "y": [2]},
    ]


def test_warm_up_when_several_tasks_share_an_input_then_each_signature_is_run(
    tmp_path, write_warmup
):
    log = prediction_log_pb2.PredictionLog()
    request = log.multi_inference_log.request
    request.input.example_list.examples.append(example(1))
    for name in ("classify", "regress"):
        request.tasks.add().model_spec.signature_name = name
    write_warmup(tmp_path, log)
    servable = RecordingServable()
    warm_up(servable, tmp_path)
    assert [signature for signature, _, _ in servable.asked] == ["classify", "regress"]


def test_warm_up_when_a_record_has_no_request_then_it_is_passed_over(tmp_path, write_warmup):
    write_warmup(tmp_path, prediction_log_pb2.PredictionLog())
    assert warm_up(RecordingServable(), tmp_path) == 1


def session_run_log():
    log = prediction_log_pb2.PredictionLog()
    log.session_run_log.request.feed.add(name="x")
    return log


@pytest.mark.parametrize(
    ("record", "code", "message"),
    [
        (b"\xff\xff", StatusCode.INVALID_ARGUMENT, "Failed to parse warmup record"),
        (session_run_log(), StatusCode.UNIMPLEMENTED, "Unsupported log_type"),
        (classify_log(), StatusCode.INVALID_ARGUMENT, "Input is empty"),
    ],
    ids=["no PredictionLog", "a session's run", "no examples"],
)
def test_warm_up_when_a_record_is_broken_then_says_why(
    tmp_path, write_warmup, record, code, message
):
    write_warmup(tmp_path, record)
    with pytest.raises(ServingError, match=message) as error:
        warm_up(RecordingServable(), tmp_path)
    assert error.value.code is code


def test_warm_up_when_the_file_is_no_tfrecord_then_is_data_loss(tmp_path, write_warmup):
    path = write_warmup(tmp_path, predict_log("", x=[1.0]))
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(ServingError, match="TFRecord format") as error:
        warm_up(RecordingServable(), tmp_path)
    assert error.value.code is StatusCode.DATA_LOSS


@pytest.mark.parametrize(("count", "is_allowed"), [(1000, True), (1001, False)])
def test_warm_up_when_there_are_many_records_then_a_thousand_are_allowed(
    tmp_path, write_warmup, count, is_allowed
):
    write_warmup(tmp_path, *[predict_log("", x=[1.0])] * count)
    if is_allowed:
        assert warm_up(RecordingServable(), tmp_path) == count
    else:
        with pytest.raises(ServingError, match=r"exceeds the maximum \(1000\)"):
            warm_up(RecordingServable(), tmp_path)


def load(folder, batching=None, **options):
    """Loads a version as the server does; returns its answer to a request."""

    async def loaded():
        workers, scheduler = Workers(1, 8), BatchScheduler(1)
        loader = Loader(LoadOptions(batching, **options), workers, scheduler)
        try:
            servable = await asyncio.to_thread(loader.load, "m", 1, folder)
            answer = await servable.run("loud", {"text": np.array([b"a"], object)})
            await asyncio.to_thread(loader.unload, servable)
            return answer["loud"].tolist()
        finally:
            workers.close()
            scheduler.close()

    return asyncio.run(loaded())


BATCHING = BatchingConfig(max_batch_size=2, batch_timeout_micros=0)


@pytest.mark.parametrize("batching", [None, BATCHING], ids=["alone", "batched"])
def test_load_when_the_model_passes_its_warmup_then_it_answers(put_version, write_warmup, batching):
    folder = put_version(1)
    scale = {"x": np.ones((2, 2), np.float32), "count": np.zeros(2, np.int64)}
    write_warmup(
        folder,
        predict_log("loud", text=[b"a", b"b"]),
        predict_log("serving_default", ["rows"], **scale),
        classify_log(0.25),
    )
    assert load(folder, batching) == [b"a!"]


@pytest.mark.parametrize(
    ("record", "batching", "code", "message"),
    [
        (predict_log("nope"), None, StatusCode.FAILED_PRECONDITION, '"nope" not found'),
        (predict_log("loud", text=[1.0]), None, StatusCode.INVALID_ARGUMENT, "found type float32"),
        (
            predict_log("picky", x=np.array([-1], np.float32)),
            None,
            StatusCode.INVALID_ARGUMENT,
            "x is negative",
        ),
        (
            predict_log("loud", text=[b"a"] * 3),
            BATCHING,
            StatusCode.INVALID_ARGUMENT,
            "Task size 3 is larger than maximum input batch size 2",
        ),
    ],
    ids=["no such signature", "another type", "refused by the model", "too large a batch"],
)
def test_load_when_the_model_fails_its_warmup_then_does_not_load(
    put_version, write_warmup, record, batching, code, message
):
    folder = put_version(1)
    write_warmup(folder, predict_log("loud", text=[b"a"]), record)
    with pytest.raises(ServingError, match=message) as error:
        load(folder, batching)
    assert error.value.code is code
    assert error.value.message.startswith("warmup record 2: ")


def test_load_when_warmup_is_off_then_a_broken_file_does_no_harm(put_version, write_warmup):
    folder = put_version(1)
    write_warmup(folder, b"\xff")
    assert load(folder, warmup=False) == [b"a!"]
