"""Several runs at once in one database."""

from __future__ import annotations

import pytest

from tests.traces import lineage


@pytest.mark.parametrize("name", ["postgresql", "mysql"])
def test_runs_at_once_when_roots_differ_then_both_end_and_a_second_of_a_root_is_refused(
    name, database_server, arguments, start, small_run, tmp_path
) -> None:
    backend = database_server(name).new_backend()
    # As far as the gate: it is the beginnings, of an empty database, that get in each other's way.
    processes = [
        start(["check", *arguments(tmp_path, backend, f"name={one}")[1:]], tmp_path, backend.env)
        for one in ("digits", "digits", "numbers")
    ]
    ended = [(*process.communicate(timeout=1200), process.returncode) for process in processes]

    assert sorted(code for *_, code in ended[:2]) == [0, 2], ended
    refused = next(stderr for _, stderr, code in ended if code == 2)
    assert f"root: found {tmp_path / 'digits'}, where" in refused
    assert ended[2][2] == 0, ended[2]
    alone = small_run("sqlite")
    expected = lineage(alone.backend.open(alone.root / "digits"), alone.run_id)
    store = backend.open(tmp_path / "digits")
    for pipeline in ("digits", "numbers"):
        (run_dir,) = (tmp_path / pipeline / "runs").iterdir()
        found = lineage(store, run_dir.name)
        names = {node["node"] for node in found}
        assert "AnomalyGate" in names
        assert found == [node for node in expected if node["node"] in names]
