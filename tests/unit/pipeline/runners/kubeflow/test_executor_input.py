"""ExecutorInput as the launcher of open-source Kubeflow gives it, and as executors take it."""

from __future__ import annotations

import pytest

from pipeline.runners.kubeflow.executor_input import (
    delocalized,
    local_path,
    localized,
    remote_uri,
    with_driven,
)

MODEL = {"instanceSchema": "title: tfx.Model\ntype: object\n"}
SPEC = {"artifacts": {"model": {"artifactType": MODEL}, "baseline": {"artifactType": MODEL}}}


def executor_input(**inputs):
    return {
        "inputs": {
            "parameterValues": {"wanted": ""},
            "artifacts": {key: {"artifacts": [found]} for key, found in inputs.items()},
        },
        "outputs": {
            "artifacts": {
                "out": {"artifacts": [{"name": "out", "type": MODEL, "uri": "minio://b/out"}]}
            },
            "outputFile": "/tmp/kfp_outputs/output_metadata.json",
        },
    }


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("minio://bucket/a/b", "/minio/bucket/a/b"),
        ("s3://bucket/a", "/s3/bucket/a"),
        ("gs://bucket/a", "/gcs/bucket/a"),
        ("/already/local", "/already/local"),
        ("http://elsewhere/a", "http://elsewhere/a"),
    ],
)
@pytest.mark.parametrize("staging", ["", "/emulated"])
def test_uri_then_is_a_staged_path_and_back(uri, path, staging):
    expected = staging + path if path != uri else uri
    assert local_path(uri, staging) == expected
    assert remote_uri(expected, staging) == uri


def test_input_when_its_type_was_lost_then_has_that_of_the_component():
    model = {"name": "m", "uri": "minio://b/m", "type": {"instanceSchema": ""}}
    (found,) = localized(executor_input(model=model), SPEC, "")["inputs"]["artifacts"]["model"][
        "artifacts"
    ]
    assert found == {"name": "m", "uri": "/minio/b/m", "type": MODEL}


def test_input_when_it_stands_for_none_then_is_none():
    model = {"name": "m", "uri": "minio://b/m"}
    absent = {"name": "n", "uri": "minio://b/n", "metadata": {"absent": 1.0}}
    found = localized(executor_input(model=model, baseline=absent), SPEC, "")
    assert found["inputs"]["artifacts"]["baseline"] == {"artifacts": []}
    assert len(found["inputs"]["artifacts"]["model"]["artifacts"]) == 1


@pytest.mark.parametrize("name", ["", "model"])
def test_names_when_empty_or_the_same_then_tell_the_artifacts_apart(name):
    first = {"name": name, "uri": "minio://b/first"}
    second = {"name": name, "uri": "minio://b/second"}
    found = localized(executor_input(model=first, baseline=second), SPEC, "")
    names = [found["inputs"]["artifacts"][key]["artifacts"][0]["name"] for key in SPEC["artifacts"]]
    assert len(set(names)) == 2 and all(names)


def test_output_file_when_in_a_bucket_then_is_where_it_is_mounted():
    given = executor_input()
    given["outputs"]["outputFile"] = "gs://b/task/executor_output.json"
    found = localized(given, SPEC, "")
    assert found["outputs"]["outputFile"] == "/gcs/b/task/executor_output.json"
    assert found["outputs"]["artifacts"]["out"]["artifacts"][0]["uri"] == "/minio/b/out"


def test_what_a_driver_found_then_is_among_parameters_and_metadata():
    given = executor_input()
    given["outputs"]["artifacts"]["out"]["artifacts"][0]["metadata"] = {"kept": 1}
    driven = {
        "parameterValues": {"wanted": "found"},
        "artifacts": {"out": {"artifacts": [{"metadata": {"span": 7}}]}},
    }
    found = with_driven(given, driven)
    assert found["inputs"]["parameterValues"] == {"wanted": "found"}
    (out,) = found["outputs"]["artifacts"]["out"]["artifacts"]
    assert out["metadata"] == {"kept": 1, "span": 7}
    assert given["inputs"]["parameterValues"] == {"wanted": ""}


def test_executor_output_then_has_the_uris_of_the_launcher():
    told = {"artifacts": {"out": {"artifacts": [{"uri": "/minio/b/out", "metadata": {"a": 1}}]}}}
    found = delocalized(told, "")
    assert found["artifacts"]["out"]["artifacts"] == [
        {"uri": "minio://b/out", "metadata": {"a": 1}}
    ]
    assert delocalized({}, "") == {}
