"""REST: the status and the metadata of a model."""

import pytest

AVAILABLE = {"state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}


@pytest.mark.parametrize(
    ("path", "versions"),
    [
        ("half_plus_two", ["2", "1"]),
        ("half_plus_two/versions/1", ["1"]),
        ("every_type", ["1"]),
    ],
)
def test_status_when_asked_for_then_lists_the_versions_newest_first(rest, path, versions):
    answer = rest.get(f"/v1/models/{path}")
    assert answer.status == 200
    assert answer.headers["content-type"].split(";")[0] == "application/json"
    expected = [{"version": version, **AVAILABLE} for version in versions]
    assert answer.json == {"model_version_status": expected}


def test_status_when_asked_for_by_label_then_has_the_labels_version(rest):
    found = rest.get("/v1/models/half_plus_two/labels/canary").json["model_version_status"]
    assert {"version": "2", **AVAILABLE} in found


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("nope", 404),
        ("nope/versions/1", 404),
        ("half_plus_two/versions/99", 404),
        ("nope/metadata", 404),
        ("half_plus_two/versions/99/metadata", 404),
        ("half_plus_two/labels/zz/metadata", 400),
    ],
)
def test_status_and_metadata_when_unknown_then_are_errors(rest, path, status):
    answer = rest.get(f"/v1/models/{path}")
    assert answer.status == status, answer
    assert path.split("/")[0] in answer.error or "zz" in answer.error


@pytest.mark.parametrize(
    ("path", "version"),
    [("", "2"), ("/versions/1", "1"), ("/labels/stable", "1")],
    ids=["latest", "version", "label"],
)
def test_metadata_when_asked_for_then_has_the_spec_and_the_signatures(rest, path, version):
    answer = rest.get(f"/v1/models/half_plus_two{path}/metadata")
    assert answer.status == 200, answer
    assert set(answer.json) == {"model_spec", "metadata"}
    spec = answer.json["model_spec"]
    assert (spec["name"], spec["version"]) == ("half_plus_two", version)
    signatures = answer.json["metadata"]["signature_def"]["signature_def"]
    methods = {name: signature["method_name"] for name, signature in signatures.items()}
    assert methods == {
        "serving_default": "tensorflow/serving/predict",
        "regress_x_to_y": "tensorflow/serving/regress",
        "regress_x2_to_y": "tensorflow/serving/regress",
        "classify_x_to_y": "tensorflow/serving/classify",
        "classify_with_labels": "tensorflow/serving/classify",
        "classify_labels_only": "tensorflow/serving/classify",
    }


def test_metadata_when_it_has_int64_then_they_are_strings(rest):
    answer = rest.get("/v1/models/every_type/metadata").json
    inputs = answer["metadata"]["signature_def"]["signature_def"]["serving_default"]["inputs"]
    assert {name: info["dtype"] for name, info in inputs.items()} == {
        "count": "DT_INT64",
        "index": "DT_INT32",
        "weights": "DT_FLOAT",
        "ratio": "DT_DOUBLE",
        "flag": "DT_BOOL",
        "text": "DT_STRING",
        "image_bytes": "DT_STRING",
    }
    shape = inputs["weights"]["tensor_shape"]
    assert [size["size"] for size in shape["dim"]] == ["-1", "2"]
    assert shape["unknown_rank"] is False


def test_metrics_when_enabled_then_are_on_the_rest_port(rest):
    rest.predict("half_plus_two", {"instances": [1.0]})
    answer = rest.get("/monitoring/prometheus/metrics")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain")
    text = answer.body.decode()
    assert "# TYPE :tensorflow:serving:request_count counter" in text
    assert "# TYPE :tensorflow:serving:request_latency histogram" in text
    counts = [line for line in text.splitlines() if line.startswith(":tensorflow:serving:request_")]
    good = [
        line
        for line in counts
        if line.startswith(":tensorflow:serving:request_count{")
        and 'model_name="half_plus_two"' in line
        and 'status="OK"' in line
    ]
    assert good and all(float(line.split()[-1]) > 0 for line in good)
    assert any(line.startswith(":tensorflow:serving:request_latency_bucket{") for line in counts)
    assert any(line.startswith(":tensorflow:serving:request_latency_count{") for line in counts)
