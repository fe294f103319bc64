"""The folder of a compiled pipeline: what is written over what, and what is read of it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from pipeline.compiled import (
    compiled_files,
    read_compiled,
    target_problems,
    write_compiled,
)
from pipeline.config_file import ConfigError, Source, load_config

KUBEFLOW = ["orchestration.kubeflow.image=r.example/t:1"]


@pytest.fixture(scope="module")
def compiled(repository):
    """The files of two pipelines, by target, and of `other` for Airflow."""
    from trainer_module.tasks import make_task

    def files(target: str, *overrides: str) -> dict[str, str]:
        config = load_config(str(repository / "configs" / "digits.yaml"), overrides)
        return compiled_files(config, make_task(config.task), target)

    return {
        "airflow": files("airflow"),
        "kubeflow": files("kubeflow", *KUBEFLOW),
        "vertex": files("vertex", *KUBEFLOW),
        "other": files("airflow", "name=other"),
    }


@pytest.fixture
def folder(compiled, tmp_path: Path) -> Path:
    write_compiled(compiled["airflow"], tmp_path)
    return tmp_path


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("before", "after", "removed"),
    [
        ("airflow", "airflow", []),
        ("airflow", "other", ["digits_dag.py"]),
        ("airflow", "kubeflow", ["ir.json", "graph.json", "digits_dag.py"]),
        ("kubeflow", "other", ["pipeline.yaml"]),
        ("vertex", "kubeflow", ["pipeline.json"]),
        ("kubeflow", "vertex", ["pipeline.yaml"]),
    ],
)
def test_write_when_something_was_compiled_there_then_nothing_of_it_is_left(
    compiled, tmp_path, before, after, removed
):
    assert write_compiled(compiled[before], tmp_path) == []
    assert write_compiled(compiled[after], tmp_path) == removed
    found = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert found == compiled[after]


def test_write_when_files_of_another_have_such_names_then_they_are_left(compiled, tmp_path):
    own = {
        "my_dag.py": "from airflow import DAG",
        "pipeline.yaml": "steps: []",
        "pipeline.json": "\x00",
    }
    for name, text in own.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "folder_dag.py").mkdir()
    assert write_compiled(compiled["airflow"], tmp_path) == []
    assert {name: (tmp_path / name).read_text() for name in own} == own
    assert names(tmp_path) == {*own, "folder_dag.py", *compiled["airflow"]}


def test_read_when_it_is_whole_then_tells_the_nodes(folder):
    found = read_compiled(folder)
    assert found.config.name == found.ir.pipeline_info.id == "digits"
    assert found.nodes[0] == "ExampleGen"


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("graph.json", "[]", "{folder}/graph.json: (file): found a list; allowed: what `tapeline"),
        ("graph.json", '{"format"', "{folder}/graph.json: (file): found Expecting"),
        ("graph.json", '{"format": 0}', "{folder}/graph.json: format: found format 0; allowed: 1"),
        ("graph.json", '{"format": 1}', "{folder}/graph.json: pipeline: found nothing; allowed: "),
        ("graph.json", None, "{folder}: DIR: found graph.json: No such file or directory; "),
        ("ir.json", '{"pipeline_info": {"id"', "{folder}/ir.json: (file): found Failed to load"),
        ("ir.json", '{"no_such": 1}', "{folder}/ir.json: (file): found Message type "),
        ("ir.json", None, "{folder}: DIR: found ir.json: No such file or directory; "),
        ("config.yaml", None, "{folder}/config.yaml: (file): found no such file; "),
    ],
)
def test_read_when_a_file_is_damaged_then_it_is_named(folder, name, text, problem):
    if text is None:
        (folder / name).unlink()
    else:
        (folder / name).write_text(text)
    with pytest.raises(ConfigError) as raised:
        read_compiled(folder)
    assert str(raised.value).startswith(problem.format(folder=folder))


def test_read_when_a_file_is_no_text_then_it_is_named(folder):
    (folder / "ir.json").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match=r"ir\.json: \(file\): found 'utf-8' codec"):
        read_compiled(folder)


def test_read_when_the_files_are_of_two_pipelines_then_refused(folder, compiled):
    (folder / "config.yaml").write_text(compiled["other"]["config.yaml"])
    told = "DIR: found graph.json of digits with config.yaml of other; allowed: files of one"
    with pytest.raises(ConfigError, match=re.escape(told)):
        read_compiled(folder)


def test_graph_then_names_no_node_before_one_that_it_waits_for(compiled):
    seen: set[str] = set()
    for node in json.loads(compiled["airflow"]["graph.json"])["nodes"]:
        assert set(node["upstream"]) <= seen
        seen.add(node["id"])


@pytest.mark.parametrize(
    ("target", "keys"),
    [
        ("local", []),
        ("airflow", ["orchestration.airflow.nodes.No"]),
        ("kubeflow", ["orchestration.kubeflow.image", "orchestration.kubeflow.claim"]),
    ],
)
def test_problems_when_a_target_is_chosen_then_are_those_of_its_section(write_config, target, keys):
    path = str(write_config({"orchestration.airflow.nodes": {"No": {"retries": 1}}}))
    problems = target_problems(load_config(path), Source(path), target)
    assert [problem.key for problem in problems] == keys
