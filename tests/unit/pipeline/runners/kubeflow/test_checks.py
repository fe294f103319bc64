"""What of a configuration cannot be on Kubeflow."""

from __future__ import annotations

import pytest

from pipeline.config_file import ConfigError, Source
from pipeline.runners.kubeflow.checks import kubeflow_problems

CSV = "data={source: csv, path: /tapeline/trips.csv, label: digit}"


@pytest.fixture
def problems(configured, overrides):
    """Returns the problems of the configuration for a target, under overrides of what fits."""

    def check(target, *more):
        given = [*overrides[target], *more]
        source = Source("digits.yaml", given)
        return [str(found) for found in kubeflow_problems(configured(*given), source, target)]

    return check


@pytest.mark.parametrize("target", ["kubeflow", "vertex"])
def test_configuration_when_it_fits_then_has_no_problems(problems, target):
    assert problems(target) == []
    assert problems(target, CSV, "serve.root=/tapeline/serving") == []


def test_nodes_when_the_pipeline_has_them_then_each_may_have_a_section(problems):
    sections = "orchestration.kubeflow.nodes={AcceptedRecord: {cpu: 1}, WarmStart: {cpu: 1}}"
    assert problems("kubeflow", sections, "train.warm_start=true") == []


@pytest.mark.parametrize(
    ("target", "override", "problem"),
    [
        ("kubeflow", "name=breast_cancer", "name: found 'breast_cancer'; allowed: a text that"),
        ("kubeflow", "orchestration.kubeflow.image=null", ".image: found null; allowed: the image"),
        ("kubeflow", "orchestration.kubeflow.claim=null", ".claim: found null; allowed: a Persis"),
        (
            "kubeflow",
            CSV.replace("/tapeline/", ""),
            "data.path: found 'trips.csv'; allowed: an",
        ),
        ("kubeflow", "schema.path=schema.pbtxt", "schema.path: found 'schema.pbtxt'; allowed: an"),
        ("kubeflow", "serve.root=serving", "serve.root: found 'serving'; allowed: an absolute"),
        ("kubeflow", "beam.engine=flink", "beam.engine: found flink; allowed: direct, portable"),
        ("kubeflow", "beam.engine=portable", "beam.engine: found portable; allowed: direct, por"),
        (
            "kubeflow",
            "beam={running_mode: multi_processing}",
            "beam.workers: found null; allowed: a number with multi_processing",
        ),
        (
            "kubeflow",
            "orchestration.kubeflow.nodes.BigQueryExampleGen.cpu=1",
            ".nodes.BigQueryExampleGen: found no node of this pipeline; allowed: ExampleGen, ",
        ),
        (
            "vertex",
            "orchestration.kubeflow.nodes={TFLiteExport: {cpu: 1}}",
            ".nodes.TFLiteExport: found no node of this pipeline; allowed: ExampleGen, ",
        ),
        ("vertex", "orchestration.kubeflow.claim=c", ".claim: found 'c'; allowed: null on Vertex"),
        ("vertex", "orchestration.kubeflow.root=/data", ".root: found '/data'; allowed: /gcs/<b"),
        (
            "vertex",
            "orchestration.kubeflow.pipeline_root=minio://b/r",
            ".pipeline_root: found 'minio://b/r'; allowed: gs://<bucket>",
        ),
        (
            "vertex",
            "orchestration.kubeflow.default.secrets=[{name: db, env: {A: a}}]",
            ".default.secrets: found db; allowed: none on Vertex",
        ),
    ],
)
def test_configuration_when_something_does_not_fit_then_says_what(
    problems, target, override, problem
):
    (found,) = problems(target, override)
    assert found.startswith(f"--set {override}: ")
    assert problem in found


@pytest.mark.parametrize(
    ("override", "key", "allowed"),
    [
        ("pipeline_root=file:///tmp", "pipeline_root", "a text that matches"),
        ("root=tapeline", "root", "a text that matches"),
        ("nodes={Trainer: {cpus: 1}}", "nodes.Trainer.cpus", "did you mean cpu?"),
        ("default.cpu=0", "default.cpu", "a number above 0"),
        ("default.retries={count: 0}", "default.retries.count", "a number above 0"),
        ("default.secrets=[{name: db}]", "default.secrets.0.env", "a value: this key is required"),
        ("default.secrets=[{name: db, env: {'1A': a}}]", "default.secrets.0.env.1A", "matches"),
    ],
)
def test_section_when_a_value_is_wrong_then_names_the_key(configured, override, key, allowed):
    with pytest.raises(ConfigError) as caught:
        configured(f"orchestration.kubeflow.{override}")
    (problem,) = caught.value.problems
    assert problem.key == f"orchestration.kubeflow.{key}"
    assert allowed in problem.allowed


def test_node_when_it_says_something_then_the_rest_is_the_default(configured, overrides):
    kubeflow = configured(*overrides["kubeflow"]).orchestration.kubeflow
    trainer, other = kubeflow.node("Trainer"), kubeflow.node("Evaluator")
    assert (trainer.cpu, trainer.memory, trainer.accelerator.count) == (2, 16, 2)
    assert (other.cpu, other.memory, other.accelerator) == (2, 4, None)
    assert trainer.retries == other.retries and trainer.secrets == other.secrets
