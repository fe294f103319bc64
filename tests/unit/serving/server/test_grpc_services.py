import asyncio
import contextlib

import numpy as np
import pytest
from google.protobuf import json_format
from grpc import StatusCode
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
)

from serving.server.admission import Admission
from serving.server.errors import ServingError
from serving.server.grpc_server import GrpcServer
from serving.server.grpc_services import GrpcServices
from serving.server.servable import Servable
from tests.unit.serving.server.grpc_calls import SPEC, Peers, calls, predict, refusal


@pytest.fixture(scope="module")
def peers(manager):
    return Peers(manager)


@pytest.fixture(scope="module")
def admission():
    return Admission(4)


@pytest.fixture(scope="module")
def call(manager, loop, peers, admission):
    with calls(manager, loop, peers, admission) as made:
        yield made


X = np.array([[1, 2]], np.float32)
SEVERAL = {"count": np.array([1]), "text": np.array([b"\xff"], object)}


def test_a_prediction_when_answered_then_has_typed_fields_and_the_resolved_model(call):
    answer = call("Predict", predict(x=X))
    assert list(answer.outputs["y"].float_val) == [3, 4]
    assert answer.outputs["y"].tensor_content == b""
    assert json_format.MessageToDict(answer.model_spec) == {
        "name": "plain",
        "version": "2",
        "signatureName": "serving_default",
    }


@pytest.mark.parametrize("choice", [{"version": "1"}, {"versionLabel": "stable"}])
def test_a_version_when_chosen_then_answers(call, choice):
    answer = call("Predict", predict({**SPEC, **choice}, x=X))
    assert list(answer.outputs["y"].float_val) == [2, 3]
    assert answer.model_spec.version.value == 1


def test_outputs_when_filtered_then_only_those_come(call):
    spec = {**SPEC, "signatureName": "several"}
    assert sorted(call("Predict", predict(spec, **SEVERAL)).outputs) == [
        "next",
        "text",
        "text_bytes",
    ]
    answer = call("Predict", predict(spec, ["text"], **SEVERAL))
    assert list(answer.outputs) == ["text"]
    assert answer.outputs["text"].string_val == [b"\xff"]


@pytest.mark.parametrize(
    ("code", "words", "request_"),
    [
        (StatusCode.INVALID_ARGUMENT, "Missing ModelSpec", predict(None, x=X)),
        (StatusCode.INVALID_ARGUMENT, "no name", predict({"name": ""}, x=X)),
        (StatusCode.NOT_FOUND, "Latest(nope)", predict({"name": "nope"}, x=X)),
        (StatusCode.NOT_FOUND, "Specific(plain, 7)", predict({**SPEC, "version": "7"}, x=X)),
        (StatusCode.INVALID_ARGUMENT, "label: zz", predict({**SPEC, "versionLabel": "zz"}, x=X)),
        (
            StatusCode.FAILED_PRECONDITION,
            'Serving signature key "zz" not found.',
            predict({**SPEC, "signatureName": "zz"}, x=X),
        ),
        (
            StatusCode.FAILED_PRECONDITION,
            "Serving signature key",
            predict({**SPEC, "signatureName": "\u4e00" * 5000}, x=X),
        ),
        (StatusCode.INVALID_ARGUMENT, "does not match signature", predict(z=X)),
        (StatusCode.INVALID_ARGUMENT, "does not match signature", predict(x=X, z=X)),
        (StatusCode.INVALID_ARGUMENT, "does not match signature", predict()),
        (StatusCode.INVALID_ARGUMENT, "float64", predict(x=X.astype(np.float64))),
        (StatusCode.INVALID_ARGUMENT, "shape", predict(x=X[0])),
        (StatusCode.INVALID_ARGUMENT, "alias not found in signature: q", predict(SPEC, ["q"], x=X)),
        (
            StatusCode.INVALID_ARGUMENT,
            "duplicate output tensor alias: y",
            predict(SPEC, ["y", "y"], x=X),
        ),
        (StatusCode.RESOURCE_EXHAUSTED, "", predict(x=np.zeros([20_000, 2], np.float32))),
    ],
)
def test_a_prediction_when_it_cannot_be_made_then_the_code_says_why(call, code, words, request_):
    assert words in refusal(call, code, "Predict", request_)


def test_a_tensor_when_it_lies_about_its_size_then_is_refused(call):
    request = predict(x=X)
    request.inputs["x"].tensor_content = b"123"
    assert "tensor parsing error: x" in refusal(
        call, StatusCode.INVALID_ARGUMENT, "Predict", request
    )


@pytest.mark.parametrize("method", ["Predict", "Classify", "MultiInference", "GetModelMetadata"])
def test_a_message_when_broken_then_is_refused_and_the_next_is_answered(call, method):
    for broken in (
        b"\xff" * 50,
        b"\x0a\xff\xff\xff\xff\x0f",
        predict(x=X).SerializeToString()[:-3],
    ):
        refusal(call, StatusCode.INVALID_ARGUMENT, method, broken)
    assert call("Predict", predict(x=X))


def metadata(name="plain", fields=("signature_def",)):
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=fields)
    if name is not None:
        request.model_spec.name = name
    return request


def test_metadata_when_asked_for_then_has_the_signatures_and_the_version(call):
    answer = call("GetModelMetadata", metadata())
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert answer.metadata["signature_def"].Unpack(signatures)
    assert {"serving_default", "several"} <= set(signatures.signature_def)
    assert (answer.model_spec.name, answer.model_spec.version.value) == ("plain", 2)


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (metadata(None), "Missing ModelSpec"),
        (metadata(""), "no name"),
        (metadata(fields=()), "at least one metadata_field"),
        (metadata(fields=("signature_def", "weights")), "weights is not supported"),
    ],
)
def test_metadata_when_asked_for_wrongly_then_is_refused(call, request_, words):
    assert words in refusal(call, StatusCode.INVALID_ARGUMENT, "GetModelMetadata", request_)


def test_status_when_asked_for_then_lists_the_versions(call):
    request = get_model_status_pb2.GetModelStatusRequest()
    refusal(call, StatusCode.INVALID_ARGUMENT, "GetModelStatus", request)
    request.model_spec.name = "plain"
    answer = call("GetModelStatus", request)
    assert [(one.version, one.state) for one in answer.model_version_status] == [(2, 30), (1, 30)]
    request.model_spec.name = "nope"
    refusal(call, StatusCode.NOT_FOUND, "GetModelStatus", request)


def test_a_reload_when_asked_for_then_goes_to_all_processes(call, peers):
    request = model_management_pb2.ReloadConfigRequest()
    message = refusal(call, StatusCode.INVALID_ARGUMENT, "HandleReloadConfigRequest", request)
    assert "Only ModelConfigList" in message
    request.config.model_config_list.config.add(name="m")
    assert call("HandleReloadConfigRequest", request).status.error_code == 0
    assert peers.reloaded == [request.config]
    request.config.model_config_list.config.add(name="bad")
    refusal(call, StatusCode.INVALID_ARGUMENT, "HandleReloadConfigRequest", request)


def test_requests_when_too_many_are_in_flight_then_the_next_is_unavailable(call, admission):
    with contextlib.ExitStack() as others:
        for _ in range(admission.limit):
            others.enter_context(admission.request())
        refusal(call, StatusCode.UNAVAILABLE, "Predict", predict(x=X))
    assert call("Predict", predict(x=X))


def test_requests_when_too_large_together_then_the_next_is_unavailable(call, admission):
    with admission.request() as other:
        other.add(admission.max_bytes)
        message = refusal(call, StatusCode.UNAVAILABLE, "Predict", predict(x=X))
        assert f"{admission.max_bytes} bytes" in message
    assert call("Predict", predict(x=X))
    assert (admission.in_flight, admission.bytes_in_flight) == (0, 0)


def test_a_deadline_when_over_then_the_work_is_cancelled_and_its_place_free(
    call, loop, admission, monkeypatch
):
    cancelled = []

    async def never(*_):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    async def until_cancelled():
        while not cancelled or admission.in_flight:
            await asyncio.sleep(0.01)

    with monkeypatch.context() as patch:
        patch.setattr(Servable, "run", never)
        refusal(call, StatusCode.DEADLINE_EXCEEDED, "Predict", predict(x=X), timeout=0.1)
        loop.run_until_complete(asyncio.wait_for(until_cancelled(), 60))


def test_a_fault_of_the_server_when_it_happens_then_is_internal_and_not_told(call, monkeypatch):
    async def broken(*_):
        raise RuntimeError("secret")

    with monkeypatch.context() as patch:
        patch.setattr(Servable, "run", broken)
        assert "secret" not in refusal(call, StatusCode.INTERNAL, "Predict", predict(x=X))


def test_a_port_when_taken_then_the_error_names_it(manager, loop, peers, admission):
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        taken.listen()

        async def start():
            await GrpcServer(GrpcServices(manager, peers, admission)).start("127.0.0.1", port)

        with pytest.raises(ServingError, match=str(port)):
            loop.run_until_complete(start())
