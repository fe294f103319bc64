"""Starting a server: its flags, what it refuses, which versions it takes."""

import re
import subprocess

import psutil
import pytest
from grpc import StatusCode

from tests.contract.clients import Rest, arrays
from tests.contract.conftest import server_command
from tests.contract.models import floats, model_config, models_text
from tests.serving_process import get

X = {"x": floats(0.0)}
METRICS = "/monitoring/prometheus/metrics"


@pytest.fixture(scope="module")
def refusals(models, put_version, start_server, tmp_path_factory):
    """Starts every server that must refuse, all at once; returns them by what is wrong."""
    folder = tmp_path_factory.mktemp("refused")
    good = model_config("half_plus_two", models / "half_plus_two")
    label = 'version_labels { key: "stable" value: 1 }'
    texts = {
        "a name twice": models_text(good, good),
        "a relative base path": models_text(model_config("half_plus_two", "half_plus_two")),
        "no platform": models_text(good.replace('model_platform: "tensorflow"', "")),
        "an unknown platform": models_text(good.replace('"tensorflow"', '"abacus"')),
        "an unknown field": models_text(good.replace("model_platform", "model_plattform")),
        "a label on what is not available": models_text(
            model_config("half_plus_two", models / "half_plus_two", label)
        ),
    }
    flags = {}
    for name, text in texts.items():
        path = folder / f"{name.replace(' ', '_')}.config"
        path.write_text(text)
        flags[name] = [f"--model_config_file={path}"]
    flags["no such file"] = [f"--model_config_file={folder}/nope.config"]
    single = ["--model_name=sizes", f"--model_base_path={models}/sizes"]
    batching = {
        "allowed_batch_sizes not in order": "allowed_batch_sizes: [4, 2, 8]",
        "allowed_batch_sizes not up to the largest": "allowed_batch_sizes: [2, 4]",
    }
    for name, text in batching.items():
        path = folder / f"{name.replace(' ', '_')}.config"
        path.write_text(f"max_batch_size {{ value: 8 }} {text}")
        flags[name] = [*single, "--enable_batching", f"--batching_parameters_file={path}"]
    flags["batching parameters without batching"] = [
        *single,
        f"--batching_parameters_file={models}/batching.config",
    ]
    version = put_version(folder / "per_model", 1, "sizes")
    (version / "batching_params.pbtxt").write_text(
        "max_batch_size { value: 8 } allowed_batch_sizes: 4"
    )
    flags["a model's batching_params.pbtxt"] = [
        "--model_name=sizes",
        f"--model_base_path={folder}/per_model",
        "--enable_batching",
        "--enable_per_model_batching_parameters",
    ]
    return {name: start_server(*given, "--max_num_load_retries=0") for name, given in flags.items()}


@pytest.mark.parametrize(
    "wrong",
    [
        "a name twice",
        "a relative base path",
        "no platform",
        "an unknown platform",
        "an unknown field",
        "a label on what is not available",
        "no such file",
        "allowed_batch_sizes not in order",
        "allowed_batch_sizes not up to the largest",
        "batching parameters without batching",
        "a model's batching_params.pbtxt",
    ],
)
def test_a_configuration_when_wrong_then_the_server_says_so_and_exits(refusals, wrong):
    server = refusals[wrong]
    assert server.wait_for_exit() != 0
    assert server.output().strip()


def test_the_defaults_when_help_is_asked_for_then_are_tf_servings():
    done = subprocess.run(
        [*server_command(), "--help"], capture_output=True, text=True, check=False, timeout=120
    )
    text = done.stdout + done.stderr
    for flag, default in {
        "port": "8500",
        "rest_api_port": "0",
        "file_system_poll_wait_seconds": "1",
        "max_num_load_retries": "5",
        "model_name": "default",
        "rest_api_timeout_in_ms": "30000",
    }.items():
        found = re.search(rf"--{flag}\b(.*?)(?=\n\s*--|\Z)", text, re.DOTALL)
        assert found, f"--{flag} is missing in:\n{text}"
        # TF Serving has it behind the name, others say in words that it is the default.
        spellings = rf'\A="?{default}"?\s|\(default {default}(\.0)?\)'
        assert re.search(spellings, found[1]), found[0]


@pytest.fixture(scope="module")
def single(models, start_server):
    """A server of one model by name and base path."""
    server = start_server("--model_name=one", f"--model_base_path={models}/sizes")
    server.wait_until_available("one", 1)
    return server


def test_a_model_when_given_by_name_and_base_path_then_is_served(single, connect):
    response = connect(single.grpc_target).predict("one", X)
    assert arrays(response)["x"].tolist() == [0.0]
    assert Rest(single.rest_url).predict("one", {"instances": [1.0]}).status == 200


def test_a_rest_request_when_it_takes_too_long_then_the_deadline_is_exceeded(models, start_server):
    server = start_server(
        "--model_name=one",
        f"--model_base_path={models}/sizes",
        "--rest_api_timeout_in_ms=300",
    )
    server.wait_until_available("one", 1)
    body = {"signature_name": "spin", "instances": [1_000_000]}
    answer = Rest(server.rest_url).predict("one", body)
    assert (answer.status, bool(answer.error)) == (504, True)


def test_a_grpc_request_when_it_takes_too_long_then_the_deadline_is_exceeded(
    single, connect, refused
):
    import numpy as np

    client = connect(single.grpc_target)
    inputs = {"turns": np.array([1_000_000])}
    refused(
        StatusCode.DEADLINE_EXCEEDED, client.predict, "one", inputs, timeout=0.3, signature="spin"
    )


@pytest.mark.parametrize("port", [[], ["--rest_api_port=0"]], ids=["none", "0"])
def test_rest_when_it_has_no_port_then_is_off(models, start_server, connect, port):
    server = start_server(
        "--model_name=one", f"--model_base_path={models}/half_plus_two", *port, rest=False
    )
    client = connect(server.grpc_target)

    def answers():
        try:
            return bool(client.predict("one", X, timeout=1).outputs)
        except Exception:
            return False

    server.wait_until(answers, "an answer over gRPC")
    family = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
    listening = {
        connection.laddr.port
        for process in family
        for connection in process.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {server.grpc_port}


@pytest.fixture(scope="module")
def policies_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("policies")


@pytest.fixture(scope="module")
def policies(start_server, put_version, policies_folder):
    """A server of models with three versions each and every kind of policy; it polls as usual."""
    folder = policies_folder
    kinds = {
        "unsaid": "",
        "latest": "model_version_policy { latest { num_versions: 2 } }",
        "all": "model_version_policy { all {} }",
        "specific": "model_version_policy { specific { versions: 1 versions: 3 } }",
        "growing": "",
    }
    for name in kinds:
        for version in (1, 2, 3):
            put_version(folder / name, version, of=min(version, 2))
        put_version(folder / name, 9).rename(folder / name / "not-a-number")
    config = folder / "models.config"
    entries = [model_config(name, folder / name, policy) for name, policy in kinds.items()]
    config.write_text(models_text(*entries))
    server = start_server(f"--model_config_file={config}")
    for name in kinds:
        server.wait_until_available(name, 3)
    return server


@pytest.mark.parametrize(
    ("model", "versions"),
    [("unsaid", {3}), ("latest", {2, 3}), ("all", {1, 2, 3}), ("specific", {1, 3})],
)
def test_a_policy_when_given_then_these_versions_and_no_others_are_served(
    policies, connect, refused, model, versions
):
    policies.wait_until_available(model, *versions)
    assert set(policies.states(model)) == versions
    client = connect(policies.grpc_target)
    for version in (1, 2, 3):
        if version in versions:
            assert client.predict(model, X, version=version).model_spec.version.value == version
        else:
            refused(StatusCode.NOT_FOUND, client.predict, model, X, version=version)
    assert client.predict(model, X).model_spec.version.value == 3


def test_a_version_when_pushed_to_a_server_of_default_flags_then_is_served(
    policies, policies_folder, put_version
):
    put_version(policies_folder / "growing", 4)
    policies.wait_until_available("growing", 4)


@pytest.mark.parametrize(
    ("monitoring", "paths"),
    [
        ('enable: true path: "/elsewhere"', {"/elsewhere": True, METRICS: False}),
        ("enable: false", {METRICS: False}),
    ],
    ids=["path", "off"],
)
def test_metrics_when_configured_then_are_there_and_nowhere_else(
    models, start_server, tmp_path, monitoring, paths
):
    config = tmp_path / "monitoring.config"
    config.write_text(f"prometheus_config {{ {monitoring} }}")
    server = start_server(
        "--model_name=one",
        f"--model_base_path={models}/sizes",
        f"--monitoring_config_file={config}",
    )
    server.wait_until_available("one", 1)
    found = {}
    for path in paths:
        status, body = get(server.rest_port, path)
        found[path] = status == 200 and b"# TYPE" in body
    assert found == paths
