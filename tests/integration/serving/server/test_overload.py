"""Four times the load that the server can serve: the excess is refused, the rest is served well.

What a request costs is a loop of known length, so that the capacity is the machine's and known.
"""

import json
import time

import numpy as np
import pytest
from tensorflow_serving.apis import predict_pb2

from tests.contract.clients import Grpc, Rest, predict_request
from tests.contract.models import write_sizes
from tests.integration.serving.server.conftest import processor_seconds, resident

COST = 0.05
"""Seconds of a core that a request is made to cost, about: much against what refusing one costs."""

TIMES = 4
REFUSED = {"UNAVAILABLE", "RESOURCE_EXHAUSTED", "429", "503"}
MEMORY = 96 << 20
"""Bytes that the server may grow by under load; its model and its code take several hundred."""


@pytest.fixture(scope="module")
def server(start_server, tmp_path_factory):
    """A server that lets a few requests wait, and no more."""
    folder = tmp_path_factory.mktemp("overload") / "m"
    write_sizes(folder / "1")
    server = start_server(
        "--model_name=m", f"--model_base_path={folder}", "--processes=1", "--max_in_flight=4"
    )
    server.wait_until_available("m", 1)
    return server


@pytest.fixture(scope="module")
def turns(server):
    """The length of a loop that costs COST, whatever else the machine is doing."""
    rest = Rest(server.rest_url)

    def cost(turns, calls=20):
        before = processor_seconds(server)
        for _ in range(calls):
            body = {"signature_name": "spin", "inputs": [turns]}
            assert rest.predict("m", body).json == {"outputs": [turns]}
        return (processor_seconds(server) - before) / calls

    first = 5000
    cost(first)  # the first calls cost more
    return round(first * COST / cost(first))


@pytest.fixture
def start(server, turns, start_load):
    """Starts load of requests that each cost COST."""

    def call(**spec):
        body = {"signature_name": "spin", "inputs": [turns]}
        request = predict_request("m", {"turns": np.array([turns])}, signature="spin")
        return start_load(server, "/v1/models/m:predict", body, request, **spec)

    return call


def is_right(record, turns):
    if record.protocol == "rest":
        return json.loads(record.answer) == {"outputs": [turns]}
    response = predict_pb2.PredictResponse.FromString(record.answer)
    return list(response.outputs["spun"].int64_val) == [turns]


def p99(records):
    return float(np.quantile([record.seconds for record in records], 0.99))


def capacity(records):
    """Returns the answers a second, without those at the edges."""
    ends = sorted(record.ended for record in records)
    return (len(ends) - 1) / (ends[-1] - ends[0])


@pytest.mark.parametrize(
    ("seconds", "is_timed"),
    [
        pytest.param(3, False, id="for 3 s"),
        pytest.param(20, True, id="for 20 s", marks=pytest.mark.slow),
    ],
)
def test_load_when_four_times_too_much_then_the_excess_is_refused_and_the_rest_served(
    seconds, is_timed, server, turns, start
):
    alone = start(clients=1, seconds=seconds / 2).wait(120)
    served = start(clients=4, seconds=seconds / 2).wait(120)
    assert all(record.is_answered for record in [*alone, *served])
    before = resident(server)

    load = start(rate=TIMES * capacity(served), seconds=seconds)
    sizes = []
    while load.is_running():
        sizes.append(resident(server))
        time.sleep(0.05)
    records = load.wait(120)
    recovered = Rest(server.rest_url).predict("m", {"signature_name": "spin", "inputs": [turns]})
    sizes.append(resident(server))

    assert recovered.status == 200, recovered  # the very first request after the load
    Grpc(server.grpc_target).predict("m", {"turns": np.array([turns])}, signature="spin")
    accepted = [record for record in records if record.is_answered]
    refused = [record for record in records if record.outcome in REFUSED]
    assert len(accepted) + len(refused) == len(records), {r.outcome for r in records}
    assert {record.protocol for record in accepted} == {"rest", "grpc"}
    assert {record.protocol for record in refused} == {"rest", "grpc"}
    assert all(is_right(record, turns) for record in accepted)
    assert max(sizes) - before < MEMORY
    if is_timed:
        assert len(records) > 3 * len(accepted), (len(records), len(accepted))
        assert p99(accepted) < 5 * p99(alone), (p99(accepted), p99(alone))
        assert p99(refused) < 5 * p99(alone), (p99(refused), p99(alone))
