import subprocess
import sys

import pytest

from serving.server.flags import (
    Flags,
    InvalidFlags,
    batching,
    metrics_path,
    model_server_config,
    parse_flags,
    tls,
)
from serving.server.tls import server_credentials

BASE = "--model_base_path=/models/m"


def test_flags_when_left_out_then_are_tf_servings_defaults():
    flags = parse_flags([BASE])
    assert (flags.port, flags.rest_api_port, flags.host) == (8500, 0, "127.0.0.1")
    assert (flags.model_name, flags.file_system_poll_wait_seconds) == ("default", 1)
    assert (flags.rest_api_timeout_in_ms, flags.max_num_load_retries) == (30000, 5)
    assert (flags.enable_batching, flags.enable_model_warmup) == (False, True)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["--enable_batching"], True),
        (["--enable_batching=true"], True),
        (["--enable_batching=1"], True),
        (["--enable_batching", "--port=1"], True),
        (["--noenable_batching"], False),
        (["--enable_batching=false"], False),
        (["--enable_batching", "false"], False),
    ],
)
def test_a_boolean_when_spelled_in_any_of_the_ways_then_is_understood(given, expected):
    assert parse_flags([BASE, *given]).enable_batching is expected


def test_values_when_apart_or_joined_then_are_the_same():
    joined = parse_flags([BASE, "--port=1", "--file_system_poll_wait_seconds=0.5"])
    apart = parse_flags([BASE, "--port", "1", "--file_system_poll_wait_seconds", "0.5"])
    assert joined == apart
    assert (joined.port, joined.file_system_poll_wait_seconds) == (1, 0.5)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--no_such_flag=1"], "--no_such_flag=1"),
        (["--enable_batchin"], "--enable_batchin"),
        (["--port=x"], "--port"),
        (["--enable_batching=maybe"], "maybe"),
    ],
)
def test_flags_when_unknown_or_of_another_type_then_are_named(given, words, capsys):
    with pytest.raises(SystemExit) as caught:
        parse_flags([BASE, *given])
    assert caught.value.code == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([], "--model_base_path"),
        ([BASE, "--batching_parameters_file=x"], "--enable_batching"),
        ([BASE, "--port=70000"], "70000"),
        ([BASE, "--rest_api_port=8500"], "8500"),
        ([BASE, "--rest_api_port=-2"], "-1 to 65535"),
        ([BASE, "--port=-1"], "0 to 65535"),
        ([BASE, "--file_system_poll_wait_seconds=-1"], "--file_system_poll_wait_seconds"),
        ([BASE, "--max_in_flight=0"], "--max_in_flight"),
        ([BASE, "--max_in_flight_bytes=0"], "--max_in_flight_bytes: found 0; allowed: from 1"),
        ([BASE, "--grpc_channel_arguments=a"], "key=value"),
    ],
)
def test_flags_when_they_do_not_go_together_then_the_error_names_them(given, words):
    with pytest.raises(InvalidFlags, match=words):
        parse_flags(given)


def test_batching_of_versions_when_batching_is_off_then_is_ignored():
    flags = parse_flags([BASE, "--enable_per_model_batching_parameters"])
    assert batching(flags) is None


def test_a_single_model_when_named_then_is_a_configuration():
    config = model_server_config(parse_flags([BASE, "--model_name=m"]))
    (model,) = config.model_config_list.config
    assert (model.name, model.base_path) == ("m", "/models/m")
    assert model.model_platform == "tensorflow"


@pytest.mark.parametrize(
    ("flag", "read", "broken"),
    [
        ("model_config_file", model_server_config, "model_config_list { what: 1 }"),
        ("batching_parameters_file", batching, "max_batch_size { value: -1 }"),
        ("batching_parameters_file", batching, "max_batch_sizes: 1"),
        ("monitoring_config_file", metrics_path, 'prometheus_config { enable: true path: "m" }'),
        ("ssl_config_file", tls, "server_key: 3"),
    ],
)
def test_a_file_when_missing_or_broken_then_is_named_in_one_line(tmp_path, flag, read, broken):
    path = tmp_path / "file.config"
    flags = Flags(model_base_path="/m", enable_batching=True, **{flag: str(path)})
    with pytest.raises(InvalidFlags, match="No such file") as caught:
        read(flags)
    path.write_text(broken)
    with pytest.raises(InvalidFlags, match=f"--{flag}: {path}") as caught:
        read(flags)
    assert "\n" not in str(caught.value)


def test_metrics_when_not_enabled_then_have_no_path(tmp_path):
    path = tmp_path / "monitoring.config"
    flags = Flags(model_base_path="/m", monitoring_config_file=str(path))
    path.write_text("prometheus_config { enable: false }")
    assert metrics_path(flags) is None
    path.write_text("prometheus_config { enable: true }")
    assert metrics_path(flags) == "/monitoring/prometheus/metrics"
    path.write_text('prometheus_config { enable: true path: "/m" }')
    assert metrics_path(flags) == "/m"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('server_key: "/etc/key.pem" server_cert: "/etc/cert.pem"', "not a path"),
        (
            'server_key: "-----BEGIN PRIVATE KEY-----" server_cert: "-----BEGIN CERTIFICATE-----" '
            "client_verify: true",
            "client_verify needs custom_ca",
        ),
    ],
)
def test_tls_when_it_could_not_work_then_is_refused(tmp_path, text, words):
    path = tmp_path / "ssl.config"
    path.write_text(text)
    security = tls(Flags(model_base_path="/m", ssl_config_file=str(path)))
    with pytest.raises(InvalidFlags, match=words):
        server_credentials(security)


def test_help_when_asked_for_then_names_every_flag_without_tensorflow():
    code = (
        "import sys; from serving.server.__main__ import main\n"
        "try: main(['--help'])\n"
        "finally: assert 'tensorflow' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for name in Flags.__dataclass_fields__:
        assert f"--{name}" in done.stdout
