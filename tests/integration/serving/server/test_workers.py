"""Processes that start while the configuration changes: none serves what is no longer in force."""

import os
import signal

import numpy as np
import psutil
import pytest
from google.protobuf import text_format
from tensorflow_serving.apis import model_management_pb2, prediction_log_pb2
from tensorflow_serving.config import model_server_config_pb2

from tests.contract.clients import TIMEOUT, Grpc, Rest, predict_request
from tests.contract.models import (
    model_config,
    models_text,
    write_half_plus_two,
    write_sizes,
    write_warmup,
)
from tests.integration.serving.server.conftest import family

LOOKS = 40
"""Each on a connection of its own: some come to every process."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Models `a` and `b`; `b` has a warmup, so that it takes a while to load."""
    folder = tmp_path_factory.mktemp("models")
    write_half_plus_two(folder / "a" / "1")
    version = write_sizes(folder / "b" / "1")
    log = prediction_log_pb2.PredictionLog()
    turns = {"turns": np.array([20_000])}
    log.predict_log.request.CopyFrom(predict_request("b", turns, signature="spin"))
    write_warmup(version, *[log.SerializeToString()] * 20)
    return folder


@pytest.fixture
def server(folder, start_server):
    config = folder / "models.config"
    config.write_text(models_text(model_config("a", folder / "a")))
    server = start_server(f"--model_config_file={config}", "--processes=2")
    server.wait_until_available("a", 1)
    server.wait_until(lambda: len(listening(server)) == 2, "both processes")
    return server


def listening(server):
    """Returns the ids of the processes that have the REST port open."""
    return {process.pid for process in family(server) if listens(process, server.rest_port)}


def listens(process, port):
    try:
        connections = process.net_connections("tcp")
    except psutil.NoSuchProcess:  # it has ended since it was listed
        return False
    return any(
        connection.laddr.port == port and connection.status == psutil.CONN_LISTEN
        for connection in connections
    )


def test_a_reload_when_a_process_is_starting_then_it_serves_nothing_older(server, folder):
    first, second = listening(server)
    os.kill(first, signal.SIGKILL)

    def is_replaced():
        present = {process.pid for process in family(server)}
        return first not in present and present > {server.pid, second}

    server.wait_until(is_replaced, "another process")
    rest, client = Rest(server.rest_url), Grpc(server.grpc_target)

    text = models_text(*[model_config(name, folder / name) for name in ("a", "b")])
    config = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    request = model_management_pb2.ReloadConfigRequest(config=config)
    client.models.HandleReloadConfigRequest(request, TIMEOUT)

    looks = 0
    while looks < LOOKS:
        answer = rest.predict("b", {"instances": [2.0]})
        assert answer.status == 200, answer
        looks += len(listening(server)) == 2
    client.close()
