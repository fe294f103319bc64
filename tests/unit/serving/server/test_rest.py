import asyncio
import gzip
import json

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from serving.server.admission import Admission
from serving.server.manager import VersionChanged
from serving.server.metrics import Metrics
from serving.server.peers import Alone
from serving.server.policy import State
from serving.server.rest import RestApi
from serving.server.servable import Servable

ROWS = {"instances": [[1.0, 2.0]]}
METRICS = "/monitoring/prometheus/metrics"


@pytest.fixture(scope="module")
def ask(manager, loop):
    """Asks the application in this process; a body that is no bytes is sent as JSON."""
    return client(RestApi(manager, Alone(manager), Admission(8), 30, 100_000), loop)


def client(application, loop):
    def call(method, path, body=None, **options):
        async def send():
            transport = httpx.ASGITransport(application)
            async with httpx.AsyncClient(transport=transport, base_url="http://server") as http:
                content = body if isinstance(body, bytes) or body is None else json.dumps(body)
                return await http.request(method, path, content=content, **options)

        return loop.run_until_complete(send())

    return call


def test_rows_when_predicted_then_are_answered_by_the_newest_version(ask):
    answer = ask("POST", "/v1/models/plain:predict", ROWS)
    assert (answer.status_code, answer.json()) == (200, {"predictions": [[3.0, 4.0]]})
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("where", ["versions/1", "labels/stable"])
def test_a_version_when_named_then_answers(ask, where):
    answer = ask("POST", f"/v1/models/plain/{where}:predict", {"inputs": {"x": [[1, 2]]}})
    assert answer.json() == {"outputs": [[2.0, 3.0]]}


def test_several_inputs_and_outputs_when_in_rows_then_are_objects(ask):
    row = {"count": 1, "text": "\u00e9"}
    answer = ask(
        "POST", "/v1/models/plain:predict", {"signature_name": "several", "instances": [row]}
    )
    expected = {"next": 2, "text": "\u00e9", "text_bytes": {"b64": "w6k="}}
    assert answer.json() == {"predictions": [expected]}


def test_infinity_when_answered_then_is_a_word(ask):
    answer = ask(
        "POST", "/v1/models/plain:predict", {"signature_name": "divide", "instances": [0.0, 2.0]}
    )
    assert answer.content == b'{"predictions": [Infinity, 0.5]}'


@pytest.mark.parametrize(
    ("path", "body", "status", "error"),
    [
        ("nope:predict", ROWS, 404, "Servable not found for request: Latest(nope)"),
        (
            "plain/versions/7:predict",
            ROWS,
            404,
            "Servable not found for request: Specific(plain, 7)",
        ),
        ("plain/labels/zz:predict", ROWS, 400, "Unrecognized servable version label: zz"),
        ("plain:predict", {**ROWS, "signature_name": "zz"}, 400, '"zz" not found in signature def'),
        ("plain:predict", {"instances": [[1.0]]}, 400, "shape"),
        ("plain:predict", {"instances": [1.0]}, 400, "shape"),
        ("plain:predict", b"{", 400, "JSON Parse error"),
        ("nope:predict", b"{", 400, "JSON Parse error"),
        ("plain:classify", {"examples": [{}]}, 400, "method_name"),
        ("examples:regress", {"examples": [{}]}, 400, "method_name"),
        ("examples:regress", {"signature_name": "zz", "examples": [{}]}, 400, "zz"),
        ("examples:classify", {}, 400, "'examples' is expected"),
        ("examples:classify", {"examples": {}}, 400, "an list/array"),
        ("examples:classify", {"examples": []}, 400, "empty array"),
        ("examples:classify", {"examples": [1]}, 400, "Example must be JSON object"),
        ("examples:classify", {"examples": [{"a": [[1]]}]}, 400, "unexpected JSON type: Array"),
        ("examples:classify", {"examples": [{"a": None}]}, 400, "unexpected JSON type: Null"),
        ("examples:classify", {"examples": [{"a": [1, 2.5]}]}, 400, "expecting type: int64"),
        ("examples:classify", {"examples": [{"a": 2**63}]}, 400, "Only int64 is supported"),
        ("examples:classify", {"examples": [{"a": 1e39}]}, 400, "loss of precision"),
        ("examples:classify", {"signature_name": "flat", "examples": [{}]}, 400, "num_classes"),
        ("plain:predict", b"x" * 100_001, 413, "100000 bytes"),
    ],
)
def test_a_request_when_it_cannot_be_answered_then_the_body_says_why(
    ask, path, body, status, error
):
    answer = ask("POST", f"/v1/models/{path}", body)
    assert answer.status_code == status
    assert list(answer.json()) == ["error"]
    assert error in answer.json()["error"]
    assert answer.headers["content-type"] == "application/json"


def test_examples_when_classified_then_context_is_in_each_and_their_own_features_win(ask):
    body = {"context": {"a": 0.5}, "examples": [{}, {"a": 2.0}]}
    answer = ask("POST", "/v1/models/examples:classify", body)
    assert answer.json() == {
        "results": [[["up", 0.5], ["down", -0.5]], [["up", 2.0], ["down", -2.0]]]
    }


def test_scores_when_without_classes_then_have_empty_labels(ask):
    body = {"signature_name": "scores", "examples": [{"a": [0.5]}]}
    answer = ask("POST", "/v1/models/examples:classify", body)
    assert answer.json() == {"results": [[["", 0.5], ["", -0.5]]]}


def test_examples_when_regressed_then_are_numbers(ask):
    body = {"signature_name": "value", "examples": [{"a": 0.5}, {}]}
    assert ask("POST", "/v1/models/examples:regress", body).json() == {"results": [0.5, 0.0]}


def test_status_when_asked_for_then_lists_versions_newest_first(ask):
    answer = ask("GET", "/v1/models/plain").json()["model_version_status"]
    assert [entry["version"] for entry in answer] == ["2", "1"]
    assert answer[0] == {
        "version": "2",
        "state": "AVAILABLE",
        "status": {"error_code": "OK", "error_message": ""},
    }
    assert ask("GET", "/v1/models/nope").status_code == 404


def test_metadata_when_asked_for_then_has_the_signatures(ask):
    answer = ask("GET", "/v1/models/plain/versions/1/metadata").json()
    assert answer["model_spec"] == {"name": "plain", "signature_name": "", "version": "1"}
    signatures = answer["metadata"]["signature_def"]["signature_def"]
    info = signatures["serving_default"]["inputs"]["x"]
    assert info["dtype"] == "DT_FLOAT"
    assert [dim["size"] for dim in info["tensor_shape"]["dim"]] == ["-1", "2"]


@pytest.mark.parametrize(("path", "status"), [("/v1/x", 400), ("/x", 404), ("/metrics", 404)])
def test_a_path_when_unknown_then_the_error_is_json(ask, path, status):
    answer = ask("GET", path)
    assert (answer.status_code, list(answer.json())) == (status, ["error"])


def test_metrics_when_requests_were_made_then_have_tf_servings_names(manager, loop):
    metrics = Metrics()
    for model in ("plain", "examples"):
        metrics.on_event(VersionChanged(model, 2, State.AVAILABLE, 0.5))
    api = RestApi(manager, Alone(manager), Admission(8), metrics=metrics, metrics_path=METRICS)
    ask = client(api, loop)
    for body in (ROWS, ROWS, b"{"):
        ask("POST", "/v1/models/plain:predict", body)
    ask("POST", "/v1/models/examples:classify", {"examples": [{}, {}, {}]})
    ask("POST", "/v1/models/invented-by-a-client:predict", ROWS)
    answer = ask("GET", METRICS + "?by=prometheus")
    assert answer.headers["content-type"].startswith("text/plain")
    lines = answer.text.splitlines()
    assert ':tensorflow:serving:request_count{model_name="plain",status="OK"} 2' in lines
    assert (
        ':tensorflow:serving:request_count{model_name="plain",status="INVALID_ARGUMENT"} 1' in lines
    )
    assert ':tensorflow:serving:request_example_count_total{model="examples"} 3' in lines
    assert ':tensorflow:serving:request_count{model_name="",status="NOT_FOUND"} 1' in lines
    assert "invented" not in answer.text
    assert "_created" not in answer.text
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    latency = families[":tensorflow:serving:request_latency"]
    assert latency.type == "histogram"
    count = [sample for sample in latency.samples if sample.name.endswith("_count")]
    assert count[0].labels == {"model_name": "plain", "API": "predict", "entrypoint": "REST"}
    assert count[0].value == 2


def test_requests_when_too_many_are_in_flight_then_the_next_gets_503_at_once(manager, loop):
    admission = Admission(1)
    busy = client(RestApi(manager, Alone(manager), admission), loop)
    with admission.request():
        answer = busy("POST", "/v1/models/plain:predict", ROWS)
        assert (answer.status_code, "in flight" in answer.json()["error"]) == (503, True)
        assert busy("GET", "/v1/models/plain").status_code == 200
    assert busy("POST", "/v1/models/plain:predict", ROWS).status_code == 200


def test_requests_when_too_large_together_then_the_next_gets_503_at_once(manager, loop):
    body = json.dumps(ROWS).encode()
    admission = Admission(8, max_bytes=len(body) + 10)
    busy = client(RestApi(manager, Alone(manager), admission), loop)
    with admission.request() as other:
        other.add(11)
        answer = busy("POST", "/v1/models/plain:predict", body)
        assert (answer.status_code, "bytes are in flight" in answer.text) == (503, True)
    # What a body unpacks to counts as well; one that is alone is answered, however large.
    packed = gzip.compress(b" " * 1000 + body)
    headers = {"content-encoding": "gzip"}
    with admission.request() as other:
        other.add(1)
        answer = busy("POST", "/v1/models/plain:predict", packed, headers=headers)
        assert answer.status_code == 503
    answer = busy("POST", "/v1/models/plain:predict", packed, headers=headers)
    assert answer.status_code == 200
    assert (admission.in_flight, admission.bytes_in_flight) == (0, 0)


def test_an_answer_when_late_then_is_504(manager, loop, monkeypatch):
    async def never(*_):
        await asyncio.Event().wait()

    admission = Admission(1)
    hasty = client(RestApi(manager, Alone(manager), admission, timeout_seconds=0.05), loop)
    with monkeypatch.context() as patch:
        patch.setattr(Servable, "run", never)
        answer = hasty("POST", "/v1/models/plain:predict", ROWS)
    assert (answer.status_code, "0.05 s" in answer.json()["error"]) == (504, True)
    patient = client(RestApi(manager, Alone(manager), admission), loop)
    assert patient("POST", "/v1/models/plain:predict", ROWS).status_code == 200


def test_a_fault_of_the_server_when_it_happens_then_is_500_and_not_told(manager, loop, monkeypatch):
    async def broken(*_):
        raise RuntimeError("secret")

    ask = client(RestApi(manager, Alone(manager), Admission(1)), loop)
    with monkeypatch.context() as patch:
        patch.setattr(Servable, "run", broken)
        answer = ask("POST", "/v1/models/plain:predict", ROWS)
    assert answer.status_code == 500
    assert "secret" not in answer.text
