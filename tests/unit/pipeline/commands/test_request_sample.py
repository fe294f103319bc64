"""`tapeline request-sample`: what it prints for a model on this machine."""

from __future__ import annotations

import json
import shlex
import socket
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.program import shell_line
from tests.small_model import write_small_model


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return write_small_model(tmp_path_factory.mktemp("models") / "small" / "1")


@pytest.fixture
def ask(model):
    """Runs the command on the model; returns what it did."""

    def run(*options: str):
        return CliRunner().invoke(app, ["request-sample", str(model), *options])

    return run


def test_command_when_given_a_model_then_a_curl_line_with_zeros_and_a_note(ask) -> None:
    done = ask("--rows", "2")
    assert done.exit_code == 0, done
    curl, flag, body, url = shlex.split(done.stdout)
    assert (curl, flag) == ("curl", "-d")
    assert url == "http://localhost:8501/v1/models/small/versions/1:predict"
    assert len(json.loads(body)["instances"]) == 2
    assert done.stderr.startswith("note: the example is zeros; ")


def test_command_when_asked_for_the_body_then_json_alone(ask) -> None:
    body = json.loads(ask("--body", "--column").stdout)
    assert body["signature_name"] == "serving_raw"
    assert set(body) == {"signature_name", "inputs"}


def test_command_when_rest_is_over_tls_then_curl_is_given_the_files(ask) -> None:
    url = "https://h:8501/"
    done = ask("--url", url, "--label", "stable", "--ca", "my ca.pem", "--cert", "c", "--key", "k")
    line = shlex.split(done.stdout)
    assert line[1:7] == ["--cacert", "my ca.pem", "--cert", "c", "--key", "k"]
    assert line[-1] == "https://h:8501/v1/models/small/labels/stable:predict"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], "GrpcClient('h:8500', 'small') as client"),
        (["--tls"], "GrpcClient('h:8500', 'small', tls=TLS()) as client"),
        (["--ca", "ca.pem"], "GrpcClient('h:8500', 'small', tls=TLS(ca=Path('ca.pem'))) as client"),
    ],
    ids=["clear", "tls", "ca"],
)
def test_command_when_given_a_grpc_target_then_a_program_that_asks_it_so(
    ask, options, expected
) -> None:
    done = ask("--grpc", "h:8500", *options)
    assert done.exit_code == 0, done
    compile(done.stdout, "program", "exec")
    assert expected in done.stdout


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["--url", "http://h", "--grpc", "h:1"], "--url, --grpc: found both"),
        (["--version", "1", "--label", "x"], "--version, --label: found both"),
        (["--signature", "no"], "--signature: found 'no'; allowed: "),
    ],
)
def test_command_when_asked_wrongly_then_refused(ask, options, error) -> None:
    done = ask(*options)
    assert error in str(done.exception)


def test_command_when_the_body_is_long_then_the_line_calls_it_again(
    ask, model, monkeypatch
) -> None:
    options = ["--rows", "20000"]
    monkeypatch.setattr(sys, "argv", ["cli.py", "request-sample", str(model), *options])
    again, pipe, curl = ask(*options).stdout.partition(" | ")
    assert pipe
    assert again == shell_line("request-sample", str(model), *options, "--body")
    assert shlex.split(curl)[:3] == ["curl", "-d", "@-"]


def test_command_when_the_server_is_away_then_exits_1() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
        done = CliRunner().invoke(app, ["request-sample", "--model", "m", "--url", url])
    assert done.exit_code == 1
    assert "is it up?" in done.stderr
