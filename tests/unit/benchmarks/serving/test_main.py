"""The benchmark's servers and requests, for real and short."""

from __future__ import annotations

import contextlib
import json
import sys
import urllib.request

import pytest

from benchmarks import report
from benchmarks.serving import __main__ as bench
from benchmarks.serving.measure import Measured, RequestsFailed, measure
from benchmarks.serving.model import make_requests
from serving.load import GrpcCall, LoadResult
from serving.server_process import RunningServer


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return bench.Bench(tmp_path_factory.mktemp("bench"), seconds=0.3)


def ask(server, made):
    url = f"http://{server.host}:{server.rest_port}{made.requests.path}"
    with urllib.request.urlopen(url, made.requests.rest) as answer:
        return json.load(answer)["predictions"]


def test_raw_handler_and_the_server_give_the_same_answer(made):
    with made.reference("raw") as raw:
        bare = ask(raw, made)
    with made.server(batched=True) as server:
        assert ask(server, made)[0] == pytest.approx(bare[0], abs=1e-6)
        for protocol in ("REST", "gRPC"):
            found = made.measure(server, protocol, clients=2)
            assert found.load.requests > 0
            assert found.cpu_us > 0


def test_measure_when_a_request_is_refused_then_gives_no_figure(made, tmp_path):
    with made.server(batched=False) as server:
        call = GrpcCall(server.target, b"no message")
        with pytest.raises(RequestsFailed, match="0 requests succeeded"):
            measure(server.pid, call, 1, 0.2, tmp_path)


def test_requests_are_the_same_at_each_start():
    assert make_requests() == make_requests()


def test_main_writes_its_rows_and_prints_its_tables(monkeypatch, tmp_path, capsys):
    """The loads are figures: what they measure is held by the tests above."""
    found = Measured(LoadResult(100, {}, 1.0, 1.0, 2.0, 110), 500.0)
    monkeypatch.setattr(bench.Bench, "measure", lambda *_: found)
    monkeypatch.setattr(bench, "embedded_server", nobody)
    monkeypatch.setattr(bench, "server_process", nobody)
    monkeypatch.setattr(
        bench,
        "write_json",
        lambda target, rows: report.write_json(target, rows, folder=tmp_path),
    )
    monkeypatch.setattr(sys, "argv", ["bench", "--rounds=2"])
    bench.main()
    rows = json.loads((tmp_path / "bench-serving.json").read_text())
    cases = [row for row in rows if row["table"] == "cases"]
    assert len({(r["protocol"], r["batching"], r["processes"], r["clients"]) for r in cases}) == 24
    assert [row["handler"] for row in rows if row["table"] == "cost"] == ["null", "raw", "server"]
    assert [row["ratio"] for row in rows if row["table"] == "gain"] == [1.0, 1.0]
    assert "CPU us/request" in capsys.readouterr().out


@contextlib.contextmanager
def nobody(*_):
    yield RunningServer(0, "127.0.0.1", 1, 2)
