"""docs/airflow.md, followed word for word; the nodes are a stand-in's, the rest is not."""

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path

import pytest
import yaml

from pipeline.config_file import load_config
from tests.airflow.conftest import LocalAirflow

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(7200)]

_FAKE = Path(__file__).with_name("fake_tapeline.py")


def _commands(page: str) -> list[list[str]]:
    blocks = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    return [shlex.split(line) for block in blocks for line in block.splitlines()]


def test_page_when_its_commands_are_typed_then_they_work(
    make_airflow, repository, tapeline, tmp_path
):
    page = (repository / "docs" / "airflow.md").read_text()
    (shown,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    (tmp_path / "configs").mkdir()
    configured = yaml.safe_load((repository / "configs" / "digits.yaml").read_text())
    config = tmp_path / "configs" / "digits.yaml"
    config.write_text(yaml.safe_dump({**configured, **yaml.safe_load(shown)}))
    assert load_config(str(config)).orchestration.airflow.schedule == "0 3 * * *"

    airflow: LocalAirflow = make_airflow()
    (tmp_path / "dags").symlink_to(airflow.dags)
    airflow("pools", "set", "training", "1", "named by the configuration")
    commands = _commands(page)
    assert len(commands) == 8
    done = tapeline(*commands.pop(0)[1:], cwd=tmp_path)
    assert done.code == 0, done
    folder = airflow.dags / "digits"
    named = re.findall(r"`(\w+\.(?:py|json|yaml))`", page.partition("| file | |")[2][:400])
    assert {path.name for path in folder.iterdir()} == set(named)

    graph = json.loads((folder / "graph.json").read_text())
    graph["command"] = [sys.executable, "-I", "-S", str(_FAKE), str(folder)]
    (folder / "graph.json").write_text(json.dumps(graph))
    (folder / "plan.json").write_text("{}")
    assert airflow.import_errors() == []
    for program, *words in commands:
        assert program == "airflow"
        if words[:2] == ["dags", "unpause"]:
            airflow("dags", "reserialize")  # what a scheduler does by itself
        airflow(*words)
    assert "success" in airflow.runs("digits").values()
    assert len(airflow.runs("digits")) == 3
    tested = [
        json.loads(line)["name"] for line in (folder / "calls.jsonl").read_text().splitlines()
    ]
    # Those that wait for the same ones run in any order.
    assert sorted(tested) == sorted([*(node["id"] for node in graph["nodes"]), "finish"])
    place = {name: number for number, name in enumerate(tested)}
    assert all(place[up] < place[node["id"]] for node in graph["nodes"] for up in node["upstream"])
    assert tested[-1] == "finish"
