"""wrk and h2load where they are installed; programs that say what those do stand for them."""

from __future__ import annotations

import pytest

from benchmarks.serving.tools import generator, make_load
from serving.load import GrpcCall, RestCall

REST = RestCall("127.0.0.1", 8501, "/v1/models/m:predict", b'{"instances": [[1]]}')
GRPC = GrpcCall("127.0.0.1:8500", b"message", "/a.B/Predict")

WRK = """
printf '%s\\n' "$@" > "$0.args"
echo "Running 2s test @ http://127.0.0.1:8501/v1/models/m:predict"
echo "Requests/sec: 100.0"
echo '{"requests": 210, "status": 6, "connection": 4, "us": 2000000, "p50": 1500.0, "p99": 9000.0}'
"""
H2LOAD = """
printf '%s\\n' "$@" > "$0.args"
for argument in "$@"; do case "$argument" in --log-file=*) log="${argument#*=}";; esac; done
printf '100\\t200\\t1000\\n200\\t200\\t3000\\n300\\t200\\t2000\\n400\\t-1\\t9000\\n' > "$log"
"""


@pytest.fixture
def install(tmp_path, monkeypatch, write_program):
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def put(name, script):
        write_program(folder / name, script)
        return folder / f"{name}.args"

    return put


def test_generator_is_the_tool_where_it_is_installed(install):
    assert (generator(REST), generator(GRPC)) == ("serving.load", "serving.load")
    install("wrk", "")
    assert (generator(REST), generator(GRPC)) == ("wrk", "serving.load")
    install("h2load", "")
    assert generator(GRPC) == "h2load"


def test_wrk_when_installed_then_posts_the_body_and_its_figures_are_read(install, tmp_path):
    arguments = install("wrk", WRK)
    result = make_load(REST, clients=16, seconds=2, folder=tmp_path)
    assert (result.requests, result.total, result.seconds) == (204, 210, 2.0)
    assert (result.p50_ms, result.p99_ms) == (1.5, 9.0)
    assert result.errors == {"status": 6, "connection": 4}
    *_, script, url = said = arguments.read_text().splitlines()
    assert {"-c16", "-d2s"} <= set(said)
    assert url == "http://127.0.0.1:8501/v1/models/m:predict"
    assert script == f"-s{tmp_path}/wrk.lua"
    assert f'io.open("{tmp_path}/body.json", "rb")' in (tmp_path / "wrk.lua").read_text()
    assert (tmp_path / "body.json").read_bytes() == REST.body


def test_h2load_when_installed_then_sends_grpcs_frame_and_its_log_is_read(install, tmp_path):
    arguments = install("h2load", H2LOAD)
    result = make_load(GRPC, clients=16, seconds=2, folder=tmp_path)
    assert (result.requests, result.total) == (3, 4)
    assert (result.p50_ms, result.p99_ms) == (2.0, 3.0)
    assert result.errors == {"status": 1}
    said = arguments.read_text().splitlines()
    assert said[-1] == "http://127.0.0.1:8500/a.B/Predict"
    assert {"-c16", "-D2", "-Hcontent-type: application/grpc"} <= set(said)
    assert (tmp_path / "body.grpc").read_bytes() == b"\x00\x00\x00\x00\x07message"
