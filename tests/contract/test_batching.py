"""Batching: padding, merging, splitting, requests that are too large, a full queue.

`sizes` answers with the size of the batch that it ran in.
"""

import os
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
from grpc import StatusCode

from tests.contract.clients import Rest, arrays
from tests.contract.models import floats, model_config, models_text

MINUTE = 60_000_000
"""Microseconds: so long that only a full batch ends the wait."""

PARAMETERS = {
    "padded": "max_batch_size { value: 4 } allowed_batch_sizes: [2, 4]",
    "merged": f"max_batch_size {{ value: 4 }} batch_timeout_micros {{ value: {MINUTE} }}",
    "queue": f"max_batch_size {{ value: 4 }} batch_timeout_micros {{ value: {MINUTE} }} "
    "max_enqueued_batches { value: 1 }",
    "split": "max_batch_size { value: 16 } max_execution_batch_size { value: 4 } "
    "enable_large_batch_splitting { value: true }",
    "plain": None,
}


@pytest.fixture(scope="module")
def servers(models, put_version, start_server, tmp_path_factory):
    """Servers with parameters per model, with one file for all, and with the defaults."""
    folder = tmp_path_factory.mktemp("batching")
    for name, text in PARAMETERS.items():
        version = put_version(folder / name, 1, "sizes")
        if text is not None:
            (version / "batching_params.pbtxt").write_text(text)
    config = folder / "models.config"
    config.write_text(models_text(*[model_config(name, folder / name) for name in PARAMETERS]))
    threads = folder / "batching.config"
    threads.write_text("num_batch_threads { value: 1 }")
    sizes = ["--model_name=sizes", f"--model_base_path={models}/sizes"]
    started = {
        "per model": start_server(
            f"--model_config_file={config}",
            "--enable_batching",
            f"--batching_parameters_file={threads}",
            "--enable_per_model_batching_parameters",
        ),
        "one file": start_server(
            *sizes, "--enable_batching=true", f"--batching_parameters_file={models}/batching.config"
        ),
        "defaults": start_server(*sizes, "--enable_batching"),
    }
    for name in PARAMETERS:
        started["per model"].wait_until_available(name, 1)
    started["one file"].wait_until_available("sizes", 1)
    started["defaults"].wait_until_available("sizes", 1)
    return started


@pytest.fixture(scope="module")
def client(servers, connect):
    """A client of the server with parameters per model."""
    return connect(servers["per model"].grpc_target)


def ask(client, model, rows, **options):
    """Returns the sizes of the batches that each row was in; the rows must come back in order."""
    x = np.arange(rows, dtype=np.float32)
    found = arrays(client.predict(model, {"x": x}, **options))
    np.testing.assert_array_equal(found["x"], x)
    return found["batch"].tolist()


@pytest.mark.parametrize(("rows", "batch"), [(1, 2), (2, 2), (3, 4), (4, 4)])
def test_a_batch_when_padded_then_the_padding_is_not_in_the_answer(client, rows, batch):
    assert ask(client, "padded", rows) == [batch] * rows


def test_a_batch_when_padded_then_rest_does_not_see_it_either(servers):
    answer = Rest(servers["per model"].rest_url).predict("padded", {"inputs": [5.0, 6.0, 7.0]})
    assert answer.json == {"outputs": {"x": [5.0, 6.0, 7.0], "batch": [4, 4, 4]}}


def test_requests_when_they_fill_a_batch_then_run_in_it_together(client):
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda rows: ask(client, "merged", rows), [1, 3]))
    assert found == [[4], [4, 4, 4]]


def test_requests_when_merged_then_each_gets_its_own_rows(client):
    def one(value):
        found = arrays(client.predict("merged", {"x": floats(value)}))
        return found["x"].tolist(), found["batch"].tolist()

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(one, [1.0, 2.0, 3.0, 4.0]))
    assert found == [([value], [4]) for value in (1.0, 2.0, 3.0, 4.0)]


def test_outputs_when_filtered_then_are_batched_as_well(client):
    response = client.predict("padded", {"x": floats(1.0)}, output_filter=["batch"])
    assert {name: value.tolist() for name, value in arrays(response).items()} == {"batch": [2]}


def test_a_request_when_larger_than_a_batch_then_is_an_invalid_argument(client, servers, refused):
    message = refused(StatusCode.INVALID_ARGUMENT, ask, client, "padded", 8)
    assert message == "Task size 8 is larger than maximum input batch size 4"
    answer = Rest(servers["per model"].rest_url).predict("padded", {"instances": [1.0] * 5})
    assert answer.status == 400
    assert answer.error == "Task size 5 is larger than maximum input batch size 4"


def test_the_queue_when_full_then_is_unavailable_and_empties(client, servers):
    def take(rows):
        try:
            return ask(client, "queue", rows)
        except grpc.RpcError as error:
            return error.code()

    with ThreadPoolExecutor(3) as pool:
        # Whichever is first waits for one row more; the other does not fit beside it.
        waiting = [pool.submit(take, 3) for _ in range(2)]
        servers["per model"].wait_until(
            lambda: any(request.done() for request in waiting), "the answer of a full queue"
        )
        (full,) = [request for request in waiting if request.done()]
        assert full.result() == StatusCode.UNAVAILABLE
        answer = Rest(servers["per model"].rest_url).predict("queue", {"instances": [1.0] * 3})
        assert (answer.status, bool(answer.error)) == (503, True)
        assert take(1) == [4]
        assert sorted(request.result() == [4, 4, 4] for request in waiting) == [False, True]


def test_a_large_request_when_it_may_be_split_then_runs_in_parts(client, refused):
    assert ask(client, "split", 10) == [4] * 8 + [2] * 2
    message = refused(StatusCode.INVALID_ARGUMENT, ask, client, "split", 17)
    assert "larger than maximum input batch size 16" in message


def test_parameters_when_per_model_and_a_model_has_none_then_it_is_not_batched(client):
    assert ask(client, "plain", 1) == [1]
    assert ask(client, "plain", 1500) == [1500] * 1500


def test_parameters_when_in_one_file_then_hold_for_every_model(servers, connect, refused):
    client = connect(servers["one file"].grpc_target)
    assert ask(client, "sizes", 1) == [2]
    assert ask(client, "sizes", 3) == [8] * 3
    message = refused(StatusCode.INVALID_ARGUMENT, ask, client, "sizes", 9)
    assert message == "Task size 9 is larger than maximum input batch size 8"


def test_the_default_batch_when_no_parameters_are_given_then_is_a_thousand(
    servers, connect, refused
):
    client = connect(servers["defaults"].grpc_target)
    assert ask(client, "sizes", 1) == [1]
    assert ask(client, "sizes", 1000) == [1000] * 1000
    message = refused(StatusCode.INVALID_ARGUMENT, ask, client, "sizes", 1001)
    assert message == "Task size 1001 is larger than maximum input batch size 1000"


def test_the_default_queue_when_more_than_ten_batches_wait_then_is_full(servers, connect):
    client = connect(servers["defaults"].grpc_target)
    turns = np.full(1000, 30_000, np.int64)
    waiting = 10
    requests = 2 * (os.cpu_count() or 1) + waiting + 20

    def take(_):
        try:
            return client.predict("sizes", {"turns": turns}, signature="spin")
        except grpc.RpcError as error:
            assert error.code() == StatusCode.UNAVAILABLE
            return None

    with ThreadPoolExecutor(requests) as pool:
        answers = list(pool.map(take, range(requests)))
    answered = [answer for answer in answers if answer is not None]
    assert waiting <= len(answered) < requests
    assert ask(client, "sizes", 1) == [1]
