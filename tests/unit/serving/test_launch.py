"""Which server is chosen, why, and with what command; programs on PATH stand for the real ones."""

from __future__ import annotations

import csv
import os
import sys

import pytest

from serving import launch
from serving.launch import Addresses, NoSuchBackend, container_user, plan_launch, server_flags
from serving.text_configs import models_text

ENGINE = 'test "$1" = version && echo 28.2.2'
NO_ENGINE = 'echo "Cannot connect to the Docker daemon" >&2; exit 1'


@pytest.fixture
def root(tmp_path, write_serving_root):
    return write_serving_root(tmp_path / "serving")


@pytest.fixture
def on_path(tmp_path, monkeypatch, write_program):
    """Makes a PATH of these programs alone; the shell that runs them needs none."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def put(**programs):
        for name, script in programs.items():
            write_program(folder / name, script)
        return folder

    return put


def values_of(command, option):
    """Returns the values of an option given as `--option=value`."""
    return [part.partition("=")[2] for part in command if part.startswith(f"{option}=")]


def test_plan_when_everything_is_here_then_takes_the_installed_tf_serving(root, on_path):
    folder = on_path(tensorflow_model_server="", docker=ENGINE)
    plan = plan_launch(root, Addresses())
    assert plan.backend == "tensorflow_model_server"
    assert plan.reason == f"found {folder}/tensorflow_model_server"
    assert plan.command == [
        f"{folder}/tensorflow_model_server",
        "--port=8500",
        "--rest_api_port=8501",
        f"--model_config_file={root}/models.config",
        "--model_config_file_poll_wait_seconds=1",
        "--file_system_poll_wait_seconds=1",
        "--enable_batching",
        f"--batching_parameters_file={root}/batching.config",
        "--enable_per_model_batching_parameters",
        f"--monitoring_config_file={root}/monitoring.config",
        "--allow_version_labels_for_unavailable_models",
    ]
    assert [model.name for model in plan.models] == ["digits"]


def test_plan_when_an_engine_answers_then_takes_docker(root, on_path):
    on_path(docker=ENGINE)
    plan = plan_launch(root, Addresses())
    assert plan.backend == "docker"
    assert plan.reason == "no tensorflow_model_server on PATH; docker engine 28.2.2 answers"


@pytest.mark.parametrize(
    "script",
    [NO_ENGINE, "exit 0", "exec /bin/sleep 60"],
    ids=["refused", "nothing said", "no answer"],
)
def test_plan_when_docker_has_no_engine_then_takes_the_embedded_one(
    root, on_path, script, monkeypatch
):
    monkeypatch.setattr(launch, "_ENGINE_TIMEOUT", 0.2)
    folder = on_path(docker=script)
    plan = plan_launch(root, Addresses())
    assert plan.backend == "embedded"
    assert f"no engine answers {folder}/docker" in plan.reason


def test_plan_when_nothing_else_is_here_then_the_embedded_one_gets_the_same_flags(root, on_path):
    on_path()
    plan = plan_launch(root, Addresses("127.0.0.2", 9001, 9000), processes=2)
    assert plan.command[:3] == [sys.executable, "-m", "serving.server"]
    assert plan.command[3:-2] == server_flags(root, 9000, 9001)
    assert plan.command[-2:] == ["--host=127.0.0.2", "--processes=2"]
    assert plan.warnings == ()


@pytest.mark.parametrize(
    ("backend", "said"),
    [
        ("tensorflow_model_server", "no tensorflow_model_server on PATH"),
        ("docker", "no engine answers"),
    ],
)
def test_plan_when_the_named_backend_is_not_here_then_is_refused(root, on_path, backend, said):
    on_path(docker=NO_ENGINE)
    with pytest.raises(NoSuchBackend, match=said):
        plan_launch(root, Addresses(), backend)


def test_plan_when_a_backend_is_named_then_a_better_one_is_not_taken(root, on_path):
    on_path(tensorflow_model_server="", docker=ENGINE)
    assert plan_launch(root, Addresses(), "embedded").backend == "embedded"
    assert plan_launch(root, Addresses(), "docker").backend == "docker"


def test_plan_of_docker_then_mounts_read_only_publishes_on_the_host_and_is_not_root(root, on_path):
    on_path(docker=ENGINE)
    command = plan_launch(root, Addresses("127.0.0.1", 9001, 9000)).command
    image = command.index("tensorflow/serving:2.16.1")
    options, flags = command[1:image], command[image + 1 :]
    assert options[0] == "run"
    assert {"--rm", "--init", "--read-only", "--cap-drop=ALL"} <= set(options)
    assert values_of(options, "--publish") == ["127.0.0.1:9001:8501", "127.0.0.1:9000:8500"]
    assert values_of(options, "--mount") == [f"type=bind,source={root},target={root},readonly"]
    assert values_of(options, "--entrypoint") == ["tensorflow_model_server"]
    assert values_of(options, "--name") == ["tapeline-serving-9001"]
    assert values_of(options, "--user") == [container_user(os.getuid(), os.getgid())]
    assert flags == server_flags(root, 8500, 8501)


@pytest.mark.parametrize(
    ("uid", "gid", "expected"), [(0, 0, "10001:10001"), (1000, 100, "1000:100")]
)
def test_container_user_when_its_caller_is_root_then_is_not(uid, gid, expected):
    assert container_user(uid, gid) == expected


def test_plan_of_docker_when_a_model_is_elsewhere_then_its_folder_is_mounted_too(
    root, tmp_path, on_path
):
    on_path(docker=ENGINE)
    (tmp_path / "taxi" / "1").mkdir(parents=True)
    for name, base in (("taxi", f"{tmp_path}/taxi"), ("fares", "gs://bucket/fares")):
        text = models_text((root / "models.config").read_text(), name, base)
        (root / "models.config").write_text(text)
    mounts = values_of(plan_launch(root, Addresses()).command, "--mount")
    assert [mount.split(",")[1] for mount in mounts] == [
        f"source={root}",
        f"source={tmp_path}/taxi",
    ]


def test_plan_of_docker_when_the_path_has_a_comma_then_docker_reads_it_as_one(
    tmp_path, write_serving_root, on_path
):
    root = write_serving_root(tmp_path / 'a,"b')
    on_path(docker=ENGINE)
    (mount,) = values_of(plan_launch(root, Addresses()).command, "--mount")
    # Docker parses the value as a row of CSV.
    (fields,) = csv.reader([mount])
    assert fields == ["type=bind", f"source={root}", f"target={root}", "readonly"]


def test_plan_when_the_directory_is_relative_then_every_path_of_the_command_is_absolute(
    root, on_path, monkeypatch
):
    on_path()
    monkeypatch.chdir(root.parent)
    command = plan_launch(root.relative_to(root.parent), Addresses()).command
    assert values_of(command, "--model_config_file") == [f"{root}/models.config"]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_plan_when_tf_serving_cannot_keep_to_loopback_then_warns(root, on_path, host):
    on_path(tensorflow_model_server="")
    (warning,) = plan_launch(root, Addresses(host)).warnings
    assert "listens on every address" in warning


def test_plan_when_every_address_is_wanted_of_tf_serving_then_does_not_warn(root, on_path):
    on_path(tensorflow_model_server="")
    assert plan_launch(root, Addresses("0.0.0.0")).warnings == ()


def test_plan_when_processes_are_asked_of_tf_serving_then_says_that_it_needs_none(root, on_path):
    on_path(docker=ENGINE)
    (warning,) = plan_launch(root, Addresses(), processes=2).warnings
    assert "--processes has no effect" in warning


def test_addresses_when_the_host_is_ipv6_then_are_in_brackets():
    addresses = Addresses("::1", 9001, 9000)
    assert addresses.url == "http://[::1]:9001"
    assert addresses.target == "[::1]:9000"
    assert addresses.status_command("digits") == "curl -s http://[::1]:9001/v1/models/digits"
