"""The entrypoint of every container, on real executors and a real driver, in this process."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from components.example_gen.query import AS_CONFIGURED, make_query
from pipeline.runners.kubeflow import entrypoint
from trainer_module import stopping

MODEL = {"instanceSchema": "title: tfx.Model\ntype: object\n"}
EXAMPLES = {
    "instanceSchema": "title: tfx.Examples\ntype: object\nproperties:\n"
    "  span:\n    type: integer\n  version:\n    type: integer\n"
    "  split_names:\n    type: string\n"
}
LOOK_UP = ["--executor_class_path", "components.lookups.served_model.Executor"]
DRIVER = ["--driver_class_path", "components.example_gen.driver.SourceDriver"]
EXAMPLE_GEN = ["--executor_class_path", "components.example_gen.executor.Executor"]


@pytest.fixture
def staging(tmp_path, monkeypatch) -> Path:
    """Where the launcher stages; what the entrypoint does to this process is undone."""
    monkeypatch.setenv(entrypoint.STAGING, str(tmp_path / "staging"))
    for name in ("PYTHONPATH", "TF_USE_LEGACY_KERAS"):
        monkeypatch.setenv(name, "1" if name.startswith("TF") else "")
    handler = signal.getsignal(signal.SIGTERM)
    yield tmp_path / "staging"
    signal.signal(signal.SIGTERM, handler)


@pytest.fixture
def run(staging, tmp_path):
    """Runs the entrypoint; returns its exit code and what is in the output file."""

    def call(classes, parameters, inputs, output_type, key):
        spec = {
            "artifacts": {name: {"artifactType": MODEL} for name in inputs},
            "parameters": {name: {"parameterType": "STRING"} for name in parameters},
        }
        output_file = tmp_path / "kfp_outputs" / "output_metadata.json"
        artifact = {"name": "out", "type": output_type, "uri": f"minio://bucket/run/{key}"}
        executor_input = {
            "inputs": {
                "parameterValues": parameters,
                "artifacts": {name: {"artifacts": [found]} for name, found in inputs.items()},
            },
            "outputs": {
                "artifacts": {key: {"artifacts": [artifact]}},
                "outputFile": str(output_file),
            },
        }
        arguments = [
            *("--json_serialized_invocation_args", json.dumps(executor_input)),
            *("--json_serialized_inputs_spec_args", json.dumps(spec)),
        ]
        code = entrypoint.main([*classes, *arguments])
        return code, json.loads(output_file.read_text()) if output_file.exists() else None

    return call


@pytest.fixture
def look_up(run, staging, tmp_path):
    """Runs the look-up of the last blessed model, given a candidate that the launcher staged."""

    def call():
        candidate = staging / "minio" / "bucket" / "trained" / "Format-Serving"
        candidate.mkdir(parents=True)
        (candidate / "saved_model.pb").write_text("candidate")
        uri = "minio://bucket/trained"
        inputs = {"candidate": {"name": "", "uri": uri, "type": {"instanceSchema": ""}}}
        folder = {"folder": str(tmp_path / "serving" / "digits")}
        return run(LOOK_UP, folder, inputs, MODEL, "model")

    return call


def test_executor_when_artifacts_are_in_a_store_then_works_on_the_staged_ones(
    look_up, staging, tmp_path
):
    version = tmp_path / "serving" / "digits" / "3"
    version.mkdir(parents=True)
    (version / "saved_model.pb").write_text("served")
    code, told = look_up()
    assert code == 0
    copied = staging / "minio" / "bucket" / "run" / "model" / "Format-Serving"
    assert (copied / "saved_model.pb").read_text() == "served"
    (artifact,) = told["artifacts"]["model"]["artifacts"]
    assert artifact["uri"] == "minio://bucket/run/model"
    assert artifact["metadata"]["version"] == "3"


def test_look_up_when_it_finds_nothing_then_its_output_stands_for_none(look_up):
    code, told = look_up()
    assert code == 0
    (artifact,) = told["artifacts"]["model"]["artifacts"]
    assert artifact["metadata"]["absent"] == 1.0


@pytest.fixture
def example_gen(configured, run, tmp_path):
    """Runs ExampleGen on a table without spans."""
    from tfx.utils import proto_utils

    def call(*classes, span=AS_CONFIGURED):
        rows = "".join(f"{index % 2},{index}\n" for index in range(200))
        (tmp_path / "rows.csv").write_text("label,value\n" + rows)
        data = configured(f"data={{source: csv, path: {tmp_path}/rows.csv, label: label}}").data
        query = proto_utils.proto_to_json(make_query(data, "code", None))
        parameters = {"input_config": query, "span_wanted": span}
        return run(classes, parameters, {}, EXAMPLES, "examples")

    return call


def test_example_gen_when_its_driver_is_named_then_its_output_has_fingerprint_and_span(
    example_gen, staging
):
    code, told = example_gen(*DRIVER, *EXAMPLE_GEN)
    assert code == 0
    (artifact,) = told["artifacts"]["examples"]["artifacts"]
    assert artifact["metadata"]["input_fingerprint"]
    assert artifact["metadata"]["span"] == 0.0
    folder = staging / "minio" / "bucket" / "run" / "examples"
    assert {path.name for path in folder.glob("Split-*")} == {
        *("Split-train", "Split-eval", "Split-test")
    }


def test_driver_when_alone_then_tells_the_platform_and_no_executor_runs(example_gen, staging):
    code, told = example_gen(*DRIVER)
    assert code == 0
    found = json.loads(told["parameterValues"]["input_config"])
    fingerprint = json.loads(found["splits"][0]["pattern"])["fingerprint"]
    (artifact,) = told["artifacts"]["examples"]["artifacts"]
    assert artifact["metadata"]["input_fingerprint"] == fingerprint != ""
    assert artifact["uri"] == "minio://bucket/run/examples"
    assert not staging.exists()


def test_driver_when_it_fails_then_nothing_is_put_out(example_gen, staging):
    from components.example_gen.source import DataError

    with pytest.raises(DataError, match="no spans"):
        example_gen(*DRIVER, *EXAMPLE_GEN, span="3")
    assert not staging.exists()


def test_training_when_it_was_stopped_and_saved_then_the_exit_code_says_so(look_up, monkeypatch):
    def stop(*_):
        raise stopping.Interrupted(7)

    monkeypatch.setattr(entrypoint, "_execute", stop)
    code, told = look_up()
    assert code == stopping.EXIT_CODE and told is None


def test_entrypoint_when_nothing_is_named_to_run_then_refuses(run, capsys):
    with pytest.raises(SystemExit) as caught:
        run([], {}, {}, MODEL, "out")
    assert caught.value.code == 2
    assert "neither --executor_class_path nor --driver_class_path" in capsys.readouterr().err
