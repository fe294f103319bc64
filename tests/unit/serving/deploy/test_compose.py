"""The compose file starts what `tapeline serve` starts, over a directory at its own path."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from serving.launch import CONTAINER_USER, IMAGE, server_flags


class MissingVariable(Exception):
    pass


def interpolate(text, variables):
    """Replaces `${NAME}`, `${NAME:-default}` and `${NAME:?message}` as compose does."""

    def value(match):
        name, sign, rest = match.groups()
        if variables.get(name):
            return variables[name]
        if sign == ":-":
            return rest
        raise MissingVariable(f"{name}: {rest}")

    return re.sub(r"\$\{(\w+)(:[-?])?([^}]*)\}", value, text)


@pytest.fixture(scope="module")
def text(repository):
    return (repository / "serving" / "deploy" / "compose.yaml").read_text()


@pytest.fixture(scope="module")
def service(text):
    parsed = yaml.safe_load(interpolate(text, {"TAPELINE_SERVING_ROOT": "/data/my models"}))
    (service,) = parsed["services"].values()
    return service


def test_service_when_started_then_has_the_flags_of_every_backend(service):
    assert service["image"] == IMAGE
    assert service["entrypoint"] == ["tensorflow_model_server"]
    assert service["command"] == server_flags(Path("/data/my models"), 8500, 8501)


def test_service_mounts_the_directory_read_only_at_its_own_path(service):
    (volume,) = service["volumes"]
    assert volume["type"] == "bind"
    assert volume["source"] == volume["target"] == "/data/my models"
    assert volume["read_only"] is True
    assert volume["bind"] == {"create_host_path": False}


def test_service_when_nothing_is_set_then_publishes_on_loopback_alone(service):
    assert service["ports"] == ["127.0.0.1:8500:8500", "127.0.0.1:8501:8501"]


def test_service_when_the_variables_are_set_then_follows_them(text):
    variables = {
        "TAPELINE_SERVING_ROOT": "/data",
        "TAPELINE_MODEL": "taxi",
        "TAPELINE_BIND": "10.0.0.5",
    }
    (service,) = yaml.safe_load(interpolate(text, variables))["services"].values()
    assert service["ports"] == ["10.0.0.5:8500:8500", "10.0.0.5:8501:8501"]
    assert "GET /v1/models/taxi HTTP/1.0" in service["healthcheck"]["test"][-1]


def test_service_when_no_directory_is_given_then_does_not_start(text):
    with pytest.raises(MissingVariable, match="TAPELINE_SERVING_ROOT: an absolute path"):
        interpolate(text, {})


def test_service_when_it_runs_then_can_do_no_more_than_serve(service):
    assert service["user"] == CONTAINER_USER
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory"}


def test_variables_are_those_that_the_page_explains(repository, text):
    page = (repository / "docs" / "deploy.md").read_text()
    used = set(re.findall(r"\$\{(\w+)", text))
    assert set(re.findall(r"^\| `(TAPELINE_\w+)` \|", page, re.MULTILINE)) == used


def test_healthcheck_when_the_model_is_served_then_passes_and_else_does_not(text, plain_server):
    """Its shell, word for word but for the port, on the embedded server."""
    for model, code in (("plain", 0), ("other", 1)):
        variables = {"TAPELINE_SERVING_ROOT": "/data", "TAPELINE_MODEL": model}
        (service,) = yaml.safe_load(interpolate(text, variables))["services"].values()
        kind, *command = service["healthcheck"]["test"]
        assert kind == "CMD"
        assert command[-1].count("/8501 ") == 1
        command[-1] = command[-1].replace("/8501 ", f"/{plain_server.rest_port} ")
        assert subprocess.run(command, timeout=60, check=False).returncode == code
