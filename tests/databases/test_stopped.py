"""A server that is stopped in mid-run, and started again."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.database_servers import PASSWORD


@pytest.mark.parametrize("name", ["postgresql", "mysql"])
def test_run_when_the_server_stops_then_says_so_and_goes_on_once_it_is_back(
    name, database_server, arguments, start, warm_tapeline, tmp_path
) -> None:
    server = database_server(name)
    backend = server.new_backend()
    command = arguments(tmp_path, backend)

    process = start(command, tmp_path, backend.env)
    shown = []
    for line in process.stderr:
        shown.append(line)
        if line.startswith("AnomalyGate"):
            assert PASSWORD not in Path(f"/proc/{process.pid}/cmdline").read_text()
            server.stop(signal.SIGKILL if name == "mysql" else signal.SIGQUIT)
            break
    # Of a node that computes, and then of the patience with a server that may be starting again.
    _, stderr = process.communicate(timeout=1500)
    server.start()

    text = "".join(shown) + stderr
    assert process.returncode == 1, text
    place = f"{name} tapeline@127.0.0.1:{server.port}/{backend.section['database']}"
    assert f"metadata.host: found {place}, which does not answer" in text
    assert "start it, then the same command goes on" in text
    (run_dir,) = (tmp_path / "digits" / "runs").iterdir()

    resumed = warm_tapeline("resume", str(run_dir), "--json", cwd=tmp_path, env=backend.env)
    assert resumed.code == 0, resumed
    states = {node["name"]: node["state"] for node in resumed.summary["nodes"]}
    finished = ["ExampleGen", "StatisticsGen", "SchemaGen", "ExampleValidator", "AnomalyGate"]
    assert {states[node] for node in finished} == {"earlier"}
    assert states["Trainer"] == "done"
    again = warm_tapeline(*command, cwd=tmp_path, env=backend.env)
    assert again.code == 0, again
    assert {node["state"] for node in again.summary["nodes"]} == {"cached"}
