"""What is compiled for Kubeflow, held to the files in `golden/`, and what must hold of it."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

GOLDEN = Path(__file__).parent / "golden"


def check(name: str, text: str, folder: Path) -> None:
    got = folder / name
    got.write_text(text)
    assert text == (GOLDEN / name).read_text(), f"cp {got} {GOLDEN / name}, if that is meant"


def test_compiled_for_open_source_then_is_as_the_golden_file(
    open_source_documents, as_golden, tmp_path
):
    check("kubeflow.json", as_golden(open_source_documents), tmp_path)


def test_compiled_for_vertex_then_is_as_the_golden_file(vertex_job, as_golden, tmp_path):
    check("vertex.json", as_golden(vertex_job), tmp_path)


def test_page_command_when_typed_then_writes_the_bytes_that_are_compiled_here(
    repository, cold_tapeline, configured, tmp_path
):
    from pipeline.runners.kubeflow.files import kubeflow_files
    from trainer_module.tasks import make_task

    page = (repository / "docs" / "kubeflow.md").read_text()
    (line,) = re.findall(r"^tapeline (compile .*)$", page, re.MULTILINE)
    words = [str(tmp_path) if word == "build/digits" else word for word in shlex.split(line)]
    done = cold_tapeline(*words, cwd=repository, env={"PYTHONHASHSEED": "7"})
    assert done.code == 0, done
    config = configured(*(word for word in words if word.startswith("orchestration.")))
    ((name, text),) = kubeflow_files(config, make_task(config.task), "kubeflow").items()
    assert (tmp_path / name).read_text() == text
    assert (tmp_path / "config.yaml").is_file()


def test_graph_then_has_the_nodes_of_the_local_one_and_a_record_of_what_was_accepted(
    open_source_documents, vertex_job, configured
):
    from pipeline.compiler import compile_pipeline
    from pipeline.lookups import ACCEPTED_RECORD
    from trainer_module.tasks import make_task

    config = configured("train.warm_start=true", "lite={variants: [float32]}")
    ir = compile_pipeline(config, make_task(config.task))
    local = {
        node.pipeline_node.node_info.id: set(node.pipeline_node.upstream_nodes) for node in ir.nodes
    }
    for spec in (open_source_documents[0], vertex_job["pipelineSpec"]):
        tasks = dict(spec["root"]["dag"]["tasks"])
        assert set(tasks.pop(ACCEPTED_RECORD)["dependentTasks"]) >= {"AnomalyGate"}
        found = {name: set(task.get("dependentTasks", [])) for name, task in tasks.items()}
        assert found == local


def test_condition_then_asks_for_an_input_that_the_task_has(open_source_documents):
    (spec, _) = open_source_documents
    for name in ("Pusher", "TFLiteExport"):
        task = spec["root"]["dag"]["tasks"][name]
        assert task["triggerPolicy"]["condition"] == (
            "(inputs.artifacts['model_blessing'].artifacts[0].metadata['blessed'] == 1.0)"
        )
        assert "model_blessing" in task["inputs"]["artifacts"]


def test_span_then_is_a_parameter_of_the_run_with_its_default(open_source_documents, vertex_job):
    for spec in (open_source_documents[0], vertex_job["pipelineSpec"]):
        definition = {"parameterType": "STRING", "defaultValue": "configured"}
        assert spec["root"]["inputDefinitions"]["parameters"] == {"span": definition}


def test_driver_when_open_source_then_runs_in_the_container_and_when_vertex_as_a_hook(
    open_source_documents, vertex_job
):
    executors = open_source_documents[0]["deploymentSpec"]["executors"]
    driver = ["--driver_class_path", "components.example_gen.driver.SourceDriver"]
    container = executors["ExampleGen_executor"]["container"]
    assert container["args"][:2] == driver and "lifecycle" not in container
    executors = vertex_job["pipelineSpec"]["deploymentSpec"]["executors"]
    container = executors["ExampleGen_executor"]["container"]
    assert container["lifecycle"]["preCacheCheck"]["args"][:2] == driver
    assert driver[0] not in container["args"]
    assert "lifecycle" not in executors["StatisticsGen_executor"]["container"]


def test_cache_when_open_source_then_is_off_and_when_vertex_as_configured(
    open_source_documents, vertex_job, compile_files
):
    def cached(spec):
        tasks = spec["root"]["dag"]["tasks"]
        return {name for name, task in tasks.items() if task["cachingOptions"].get("enableCache")}

    assert cached(open_source_documents[0]) == set()
    always = {"Pusher", "WarmStart", "Baseline", "AcceptedData", "AcceptedRecord"}
    every = set(vertex_job["pipelineSpec"]["root"]["dag"]["tasks"])
    assert cached(vertex_job["pipelineSpec"]) == every - always
    without = json.loads(compile_files("vertex", "cache=false")["pipeline.json"])
    assert cached(without["pipelineSpec"]) == set()
