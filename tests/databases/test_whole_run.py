"""A run whose metadata are on a server is the run that it is with a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.lite import origin_of
from tests.database_servers import PASSWORD
from tests.traces import lineage, types

pytestmark = pytest.mark.parametrize("name", ["postgresql", "mysql"])


def test_run_when_metadata_are_on_a_server_then_they_are_as_in_a_file(name, small_run) -> None:
    digests = []
    for run in (small_run("sqlite"), small_run(name)):
        store = run.backend.open(run.root / "digits")
        digests.append((types(store), lineage(store, run.run_id)))
    assert digests[0] == digests[1]
    assert [node["state"] for node in digests[1][1]].count("COMPLETE") == len(digests[1][1])
    assert len(digests[1][1]) >= 10
    assert not (small_run(name).root / "digits" / "metadata.sqlite").exists()


def test_run_when_it_is_over_then_the_password_is_nowhere(name, small_run) -> None:
    run = small_run(name)
    files = [path for path in run.root.rglob("*") if path.is_file()]
    assert len(files) > 30
    # In any way that it could be written: as it is, escaped, or in part.
    written = ["s3cret", "it's", "it\\'s", "100%", "héré", "h\\303\\251r"]
    assert all(part in PASSWORD for part in ("s3cret", "it's", "100%", "héré"))
    texts = {str(path): path.read_bytes() for path in files}
    texts |= {"stdout": run.done.stdout.encode(), "stderr": run.done.stderr.encode()}
    for path, text in texts.items():
        assert not [part for part in written if part.encode() in text], path


def test_run_when_repeated_then_all_is_cached_and_readers_find_the_metadata(
    name, small_run, arguments, warm_tapeline
) -> None:
    run = small_run(name)
    env = run.backend.env

    again = warm_tapeline(*arguments(run.root, run.backend), cwd=run.root, env=env)

    assert again.code == 0, again
    assert again.summary["status"] == "cached"
    assert {node["state"] for node in again.summary["nodes"]} == {"cached"}
    config = f"{again.summary['run_dir']}/config.yaml"
    frozen = warm_tapeline("schema", "freeze", config, "-o", "x.pbtxt", cwd=run.root, env=env)
    assert frozen.code == 0, frozen
    assert again.summary["run_id"] in (run.root / "x.pbtxt").read_text()


def test_origin_of_a_version_when_metadata_are_on_a_server_then_is_its_run(
    name, small_run, monkeypatch
) -> None:
    run = small_run(name)
    for key, value in run.backend.env.items():
        monkeypatch.setenv(key, value)
    origin = origin_of(Path(run.done.summary["servable"]))
    assert origin.pipeline_root == run.root / "digits"
    assert origin.examples.is_dir()


def test_run_when_another_root_has_the_name_then_is_refused(
    name, small_run, arguments, warm_tapeline, tmp_path
) -> None:
    run = small_run(name)
    done = warm_tapeline(*arguments(tmp_path, run.backend), cwd=tmp_path, env=run.backend.env)
    assert done.code == 2, done
    assert "name: found digits, the name of another pipeline in" in done.stderr
    assert list(tmp_path.iterdir()) == []

    words = arguments(tmp_path, run.backend)[1:]
    words.remove("--json")
    compiled = warm_tapeline("compile", *words, "-o", "compiled", cwd=tmp_path, env=run.backend.env)
    assert compiled.code == 0, compiled
    node = warm_tapeline(
        "node", "compiled", "ExampleGen", "--run-id", "night-1", cwd=tmp_path, env=run.backend.env
    )
    assert node.code == 2, node
    assert "name: found digits, the name of another pipeline in" in node.stderr
    assert not (tmp_path / "digits").exists()
