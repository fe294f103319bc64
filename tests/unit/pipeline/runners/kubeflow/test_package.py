from __future__ import annotations

import re

import pytest

from pipeline.config_file import ConfigError
from pipeline.runners.kubeflow.package import read_package
from tests.compiled import SPECIFICATION, write_compiled


@pytest.fixture
def package(tmp_path):
    return read_package(write_compiled(tmp_path / "compiled"))


def test_package_when_compiled_then_tells_name_nodes_and_configuration(tmp_path):
    folder = write_compiled(tmp_path / "compiled", kubeflow="{namespace: team}")
    package = read_package(folder)
    assert package.name == "small"
    assert package.nodes == ("ExampleGen", "Trainer")
    assert package.config.namespace == "team"
    assert package.file == folder / "pipeline.yaml"
    assert package.file.is_absolute()


def test_package_when_nodes_are_in_a_component_of_their_own_then_named_too(tmp_path):
    nested = SPECIFICATION.replace(
        "  Trainer: {executorLabel: Trainer_executor}",
        "  Trainer: {dag: {tasks: {inner: {taskInfo: {name: Inner}}}}}",
    )
    package = read_package(write_compiled(tmp_path / "compiled", nested))
    assert package.nodes == ("ExampleGen", "Trainer", "Inner")


@pytest.mark.parametrize(
    ("file", "text", "reason"),
    [
        ("config.yaml", None, "no config.yaml"),
        ("pipeline.yaml", None, "no pipeline.yaml"),
        ("pipeline.yaml", "a: [", "pipeline.yaml, which is no pipeline: while parsing"),
        ("pipeline.yaml", "pipelineInfo: {name: small}", "which is no pipeline: 'root'"),
        ("pipeline.yaml", "root: 3", "which is no pipeline: 'int' object has no attribute"),
        ("pipeline.yaml", "root: {}", "which is no pipeline: 'pipelineInfo'"),
        ("pipeline.yaml", "", "which is no pipeline: list index out of range"),
    ],
)
def test_package_when_folder_holds_something_else_then_refused(tmp_path, file, text, reason):
    folder = write_compiled(tmp_path / "compiled")
    if text is None:
        (folder / file).unlink()
    else:
        (folder / file).write_text(text)
    with pytest.raises(ConfigError) as raised:
        read_package(folder)
    (problem,) = raised.value.problems
    assert problem.source == str(folder)
    assert reason in problem.found
    assert "--target kubeflow" in problem.allowed


def test_package_when_the_files_are_of_two_pipelines_then_refused(tmp_path):
    folder = write_compiled(tmp_path / "compiled")
    other = SPECIFICATION.replace("name: small", "name: large")
    (folder / "pipeline.yaml").write_text(other)
    told = "DIR: found pipeline.yaml of large with config.yaml of small; allowed: files of one"
    with pytest.raises(ConfigError, match=re.escape(told)):
        read_package(folder)


def test_package_when_compiled_for_vertex_then_refused(tmp_path):
    folder = write_compiled(tmp_path / "compiled")
    (folder / "pipeline.yaml").rename(folder / "pipeline.json")
    with pytest.raises(ConfigError, match=r"found pipeline\.json, which Vertex AI takes; allowed:"):
        read_package(folder)


def test_values_when_assigned_then_of_the_parameters_types(package):
    values = package.values(["span=7", "epochs=3", "rate=1", "warm=true"], scheduled=False)
    assert values == {"span": "7", "epochs": 3, "rate": 1.0, "warm": True}
    assert [type(value) for value in values.values()] == [str, int, float, bool]


@pytest.mark.parametrize(
    ("assignment", "found", "allowed"),
    [
        ("span", "no name=value", "span, epochs, rate, warm"),
        ("pan=7", "the name pan", "span, epochs, rate, warm"),
        ("epochs=three", "'three'", "an integer"),
        ("epochs=1.5", "'1.5'", "an integer"),
        ("epochs=true", "'true'", "an integer"),
        ("warm=1", "'1'", "true or false"),
        ("rate=[", "'['", "a number"),
    ],
)
def test_values_when_not_of_the_pipeline_then_refused(package, assignment, found, allowed):
    with pytest.raises(ConfigError, match=re.escape(f"found {found}; allowed: {allowed}")):
        package.values([assignment], scheduled=False)


def test_values_when_time_of_schedule_then_only_for_schedules(package):
    day = "span=[[ScheduledTime.2006-01-02]]"
    assert package.values([day], scheduled=True) == {"span": "[[ScheduledTime.2006-01-02]]"}
    with pytest.raises(ConfigError, match="for `tapeline schedule` only"):
        package.values([day], scheduled=False)


def test_values_when_neither_value_nor_default_then_refused(tmp_path):
    text = SPECIFICATION.replace("epochs: {parameterType: NUMBER_INTEGER, defaultValue: 5}",
                                 "epochs: {parameterType: NUMBER_INTEGER}")  # fmt: skip
    package = read_package(write_compiled(tmp_path / "compiled", text))
    assert package.values(["epochs=1"], scheduled=False) == {"epochs": 1}
    with pytest.raises(ConfigError, match="--parameter epochs: found nothing; allowed: an integer"):
        package.values([], scheduled=False)


def test_values_when_no_parameters_then_says_so(tmp_path):
    text = re.sub(r"  inputDefinitions:\n.*?(?=  dag:)", "", SPECIFICATION, flags=re.DOTALL)
    package = read_package(write_compiled(tmp_path / "compiled", text))
    with pytest.raises(ConfigError, match="none: the pipeline takes no parameters"):
        package.values(["span=1"], scheduled=False)
