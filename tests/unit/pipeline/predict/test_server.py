"""What a command's arguments say of the model and the server; what they may not say together."""

from __future__ import annotations

import shutil

import pytest

from pipeline.config_file import ConfigError
from pipeline.predict.server import Asked, ServerOptions, served_name
from serving.client import GrpcClient, RestClient, RetryPolicy

HERE = ServerOptions(None, None)
REST = ServerOptions("http://host:8501", None)


def asked(model=None, name=None, version=None, label=None, server=REST) -> Asked:
    return Asked(model, name, [], version, label, server)


@pytest.mark.parametrize(
    ("wanted", "error"),
    [
        pytest.param(asked(), "MODEL: found none; allowed: MODEL, or --model NAME", id="no model"),
        pytest.param(
            asked("m", version=1, label="stable"), "--version, --label: found both", id="both"
        ),
        pytest.param(asked(name="m", server=HERE), "--model: found no server; allowed", id="name"),
        pytest.param(
            asked("m", version=1, server=HERE), "--version: found no server; allowed", id="version"
        ),
        pytest.param(
            asked("m", server=ServerOptions("http://h", "h:1")), "--url, --grpc: found both", id="2"
        ),
    ],
)
def test_arguments_when_they_contradict_each_other_then_refused(wanted, error) -> None:
    with pytest.raises(ConfigError, match=error):
        wanted.check()


def test_name_when_the_model_is_a_place_here_then_that_of_its_folder(model, write_config) -> None:
    assert served_name(str(model), []) == ("small", 1)
    assert served_name(str(model.parent), []) == ("small", None)
    assert served_name(str(write_config({"serve.model_name": "numbers"})), []) == ("numbers", None)


def test_version_when_named_then_goes_before_that_of_the_folder(model, tmp_path) -> None:
    assert asked(str(model)).on_server() == ("small", 1)
    assert asked(str(model), version=2).on_server() == ("small", 2)
    assert asked(str(model), label="canary").on_server() == ("small", None)
    assert asked(name="other", version=3).on_server() == ("other", 3)
    shutil.copytree(model, tmp_path / "models" / "newest")
    assert served_name(str(tmp_path / "models" / "newest"), []) == ("models", None)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        pytest.param({"url": "host:8501"}, "--url: found 'host:8501'; allowed: http://", id="url"),
        pytest.param(
            {"url": "http://[::1"}, r"--url: found 'http://\[::1'; allowed: http://", id="bracket"
        ),
        pytest.param(
            {"url": "http://h:abc"}, "--url: found 'http://h:abc'; allowed: http://", id="port"
        ),
        pytest.param(
            {"grpc": "h:1", "ca": "nowhere.pem"}, "nowhere.pem: --ca, --cert, --key: found", id="ca"
        ),
        pytest.param(
            {"grpc": "h:1", "key": "k.pem"}, "--tls: found one of cert and key; allowed", id="key"
        ),
    ],
)
def test_server_when_it_cannot_be_reached_so_then_refused(options, error) -> None:
    options = {"url": None, "grpc": None, **options}
    with pytest.raises(ConfigError, match=error):
        ServerOptions(**options).connect("m", RetryPolicy())


def test_server_when_named_then_a_client_of_its_protocol() -> None:
    with REST.connect("m", RetryPolicy()) as client:
        assert isinstance(client, RestClient)
    with ServerOptions(None, "host:8500").connect("m", RetryPolicy()) as client:
        assert isinstance(client, GrpcClient)
