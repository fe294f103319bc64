"""Hostile requests: the server outlives them, refuses them, and answers the good ones meanwhile."""

from collections import Counter

import grpc
import pytest
from google.protobuf.message import DecodeError
from hypothesis import HealthCheck, given, settings
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    predict_pb2,
    regression_pb2,
)

from tests.contract.clients import Grpc
from tests.integration.serving.server import hostile
from tests.integration.serving.server.attacked import PATIENCE, exchange

pytestmark = pytest.mark.usefixtures("good_clients")

REQUESTS = 2000
MESSAGES = dict(
    zip(
        hostile.METHODS,
        [
            predict_pb2.PredictRequest,
            classification_pb2.ClassificationRequest,
            regression_pb2.RegressionRequest,
            inference_pb2.MultiInferenceRequest,
            get_model_metadata_pb2.GetModelMetadataRequest,
            get_model_status_pb2.GetModelStatusRequest,
            model_management_pb2.ReloadConfigRequest,
        ],
        strict=True,
    )
)
REFUSALS = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
}


def check_rest(server, request):
    found = exchange(server, request)
    allowed = {100, 200} if request.may_succeed else set()
    assert all(400 <= status < 500 or status in allowed for status in found), (request, found)
    if request.is_http:
        assert len(found) == 1, (request, found)


def check_grpc(channel, request):
    call = channel.unary_unary(hostile.SERVICES + request.method)
    try:
        call(request.data, timeout=PATIENCE)
    except grpc.RpcError as error:
        code = error.code()
    else:
        assert request.may_succeed, request
        return
    if code == grpc.StatusCode.INTERNAL:  # the library's own answer to what is no message
        with pytest.raises(DecodeError):
            MESSAGES[request.method].FromString(request.data)
    else:
        assert code in REFUSALS, (request, code)


def test_hostile_requests_when_two_thousand_are_sent_then_each_is_refused(server):
    sent = Counter()
    client = Grpc(server.grpc_target)

    @settings(
        max_examples=REQUESTS,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(hostile.requests)
    def send(request):
        sent[request.kind] += 1
        if request.method is None:
            check_rest(server, request)
        else:
            check_grpc(client.channel, request)

    send()
    client.close()
    assert sum(sent.values()) >= REQUESTS, sent
    assert len(sent) > 20 and min(sent.values()) >= 5, sent
