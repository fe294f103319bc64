"""A running server: versions that come and go, warmup, and the model configuration replaced."""

import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
from google.protobuf import text_format
from grpc import StatusCode
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_management_pb2,
    prediction_log_pb2,
)
from tensorflow_serving.config import model_server_config_pb2

from tests.contract.clients import TIMEOUT, Rest, arrays, predict_request
from tests.contract.models import floats, model_config, models_text, write_warmup

X = {"x": floats(0.0)}
AVAILABLE = get_model_status_pb2.ModelVersionStatus.State.AVAILABLE


TURNS = {"turns": np.array([300_000])}
"""A second or two of the signature `spin`."""


def warmup(signature="count", **spec):
    """Returns a record that asks `warmed` for a prediction."""
    log = prediction_log_pb2.PredictionLog()
    request = predict_request("warmed", spec.pop("inputs", X), signature=signature, **spec)
    log.predict_log.request.CopyFrom(request)
    return log.SerializeToString()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("pushed")


@pytest.fixture(scope="module")
def polling(folder, put_version, start_server):
    """A server that polls models to which versions are pushed."""
    sizes = ("warmed", "unparsed", "lengthy", "warming", "held")
    names = ("growing", "shrinking", "broken", *sizes)
    for name in names:
        put_version(folder / name, 1, "sizes" if name in sizes else "half_plus_two")
    put_version(folder / "shrinking", 2, of=2)
    write_warmup(folder / "warmed" / "1", warmup(), warmup(), warmup())
    config = folder / "models.config"
    config.write_text(models_text(*[model_config(name, folder / name) for name in names]))
    server = start_server(
        f"--model_config_file={config}",
        "--file_system_poll_wait_seconds=1",
        "--max_num_load_retries=0",
    )
    for name in names:
        server.wait_until_available(name)
    return server


def test_a_version_when_pushed_then_replaces_the_older_without_a_gap(
    polling, folder, put_version, connect, refused
):
    client = connect(polling.grpc_target)
    assert client.predict("growing", X).model_spec.version.value == 1
    put_version(folder / "growing", 2, of=2)
    seen = []

    def is_replaced():
        response = client.predict("growing", X)
        version = response.model_spec.version.value
        assert arrays(response)["y"].tolist() == [1.0 + version]
        seen.append(version)
        return version == 2

    polling.wait_until(is_replaced, "version 2 of growing")
    assert seen == sorted(seen)
    polling.wait_until_gone("growing", 1)
    refused(StatusCode.NOT_FOUND, client.predict, "growing", X, version=1)


def test_a_version_when_taken_away_then_the_next_newest_is_served(polling, folder, connect):
    client = connect(polling.grpc_target)
    assert client.predict("shrinking", X).model_spec.version.value == 2
    (folder / "shrinking" / "2").rename(folder / "taken-away")
    polling.wait_until_available("shrinking", 1)
    polling.wait_until_gone("shrinking", 2)
    assert arrays(client.predict("shrinking", X))["y"].tolist() == [2.0]


def wait_for_error(server, model, version):
    """Returns the status entry of a version that could not be loaded."""
    rest = Rest(server.rest_url)
    found = {}

    def has_failed():
        for entry in rest.get(f"/v1/models/{model}").json["model_version_status"]:
            if entry["version"] == str(version):
                assert entry["state"] != "AVAILABLE", entry
                found.update(entry)
        return found.get("state") == "END"

    server.wait_until(has_failed, f"END of {model} {version}")
    return found


def test_a_version_when_broken_then_is_reported_and_the_older_goes_on(polling, folder, connect):
    staged = folder / "no-model"
    staged.mkdir()
    staged.rename(folder / "broken" / "2")
    found = wait_for_error(polling, "broken", 2)
    assert found["status"]["error_code"] not in ("OK", "")
    assert found["status"]["error_message"]
    response = connect(polling.grpc_target).predict("broken", X)
    assert response.model_spec.version.value == 1


def test_warmup_when_it_has_records_then_they_ran_before_the_model_was_available(polling, connect):
    response = connect(polling.grpc_target).predict("warmed", X, signature="count")
    assert arrays(response)["calls"].tolist() == [4]


def test_a_version_when_it_warms_up_then_is_loading_and_the_older_answers(
    polling, folder, put_version, connect
):
    version = put_version(folder / "warming-staged", 2, "sizes")
    write_warmup(version, warmup("spin", inputs=TURNS))
    version.rename(folder / "warming" / "2")
    polling.wait_until(
        lambda: polling.states("warming") == {1: "AVAILABLE", 2: "LOADING"}, "LOADING"
    )
    assert connect(polling.grpc_target).predict("warming", X).model_spec.version.value == 1
    polling.wait_until_available("warming", 2)


def test_a_version_when_requests_hold_it_then_is_unloading_and_they_are_answered(
    polling, folder, put_version, connect
):
    client = connect(polling.grpc_target)

    def ask_until_it_is_gone(_):
        while True:
            try:
                client.predict("held", TURNS, version=1, signature="spin")
            except grpc.RpcError as error:
                return error.code()

    with ThreadPoolExecutor(2) as pool:
        ended = pool.map(ask_until_it_is_gone, range(2))
        put_version(folder / "held", 2, "sizes")
        polling.wait_until(
            lambda: polling.states("held") == {1: "UNLOADING", 2: "AVAILABLE"}, "UNLOADING"
        )
        assert list(ended) == [StatusCode.NOT_FOUND] * 2
    polling.wait_until_gone("held", 1)


@pytest.mark.parametrize(
    ("model", "records"),
    [
        ("warmed", lambda: [warmup(), warmup(inputs={"x": np.array([b"text"], object)})]),
        ("unparsed", lambda: [b"\xff not a PredictionLog"]),
        ("lengthy", lambda: [warmup()] * 1001),
    ],
    ids=["fails", "is no PredictionLog", "is one too many"],
)
def test_warmup_when_a_record_is_bad_then_the_load_fails(
    polling, folder, put_version, connect, model, records
):
    version = put_version(folder / f"{model}-staged", 2, "sizes")
    write_warmup(version, *records())
    version.rename(folder / model / "2")
    found = wait_for_error(polling, model, 2)
    assert found["status"]["error_code"] not in ("OK", "")
    response = connect(polling.grpc_target).predict(model, X)
    assert response.model_spec.version.value == 1


@pytest.fixture(scope="module")
def bases(put_version, tmp_path_factory):
    """Folders of models: `a` with versions 1 and 2, `b` with version 1."""
    folder = tmp_path_factory.mktemp("bases")
    put_version(folder / "a", 1)
    put_version(folder / "a", 2, of=2)
    put_version(folder / "b", 1)
    return folder


BOTH = "model_version_policy { specific { versions: 1 versions: 2 } }"


def label(name, version):
    return f'version_labels {{ key: "{name}" value: {version} }}'


@pytest.fixture(scope="module")
def managed(bases, start_server):
    """A server whose configuration is replaced by HandleReloadConfigRequest."""
    config = bases / "managed.config"
    config.write_text(models_text(model_config("a", bases / "a", BOTH)))
    server = start_server(f"--model_config_file={config}", per_core=True)
    server.wait_until_available("a", 1, 2)
    return server


@pytest.fixture(scope="module")
def reload_by(managed, connect):
    """Sends a models.config to `managed`."""
    client = connect(managed.grpc_target)

    def call(text):
        config = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
        request = model_management_pb2.ReloadConfigRequest(config=config)
        return client.models.HandleReloadConfigRequest(request, TIMEOUT)

    return call


@pytest.fixture
def usual(bases, managed, reload_by):
    """The configuration that each of these tests starts from: `a` with versions 1 and 2."""
    assert reload_by(models_text(model_config("a", bases / "a", BOTH))).status.error_code == 0
    managed.wait_until_available("a", 1, 2)


@pytest.mark.usefixtures("usual")
def test_a_reload_when_sent_then_replaces_the_whole_set(managed, bases, reload_by, connect):
    client = connect(managed.grpc_target)
    assert reload_by(models_text(model_config("b", bases / "b"))).status.error_code == 0
    assert client.predict("b", X).model_spec.version.value == 1  # at once: the reload waits for it

    def is_gone():
        try:
            return not client.predict("a", X)
        except grpc.RpcError as error:
            assert error.code() == StatusCode.NOT_FOUND
            return True

    managed.wait_until(is_gone, "model a unloaded")


@pytest.mark.usefixtures("usual")
@pytest.mark.parametrize(
    "make",
    [
        lambda bases: models_text(*[model_config("b", bases / "b")] * 2),
        lambda bases: models_text(model_config("b", "b")),
        lambda bases: models_text(f'config {{ name: "b" base_path: "{bases}/b" }}'),
        lambda bases: models_text(
            model_config("a", bases / "a").replace('"tensorflow"', '"abacus"')
        ),
        lambda bases: "custom_model_config {}",
        lambda bases: "",
    ],
    ids=["name twice", "relative", "no platform", "other platform", "custom", "empty"],
)
def test_a_reload_when_wrong_then_is_refused_and_the_old_set_stays(
    managed, bases, reload_by, connect, make
):
    with pytest.raises(grpc.RpcError) as caught:
        reload_by(make(bases))
    assert caught.value.code() in (StatusCode.INVALID_ARGUMENT, StatusCode.FAILED_PRECONDITION)
    client = connect(managed.grpc_target)
    assert client.status("a") == {2: AVAILABLE, 1: AVAILABLE}
    assert client.predict("a", X).model_spec.version.value == 2


@pytest.mark.usefixtures("usual")
def test_a_label_when_its_version_is_available_then_is_set_and_moved(
    managed, bases, reload_by, connect
):
    client = connect(managed.grpc_target)
    for version in (1, 2, 1):
        entry = model_config("a", bases / "a", f"{BOTH} {label('stable', version)}")
        assert reload_by(models_text(entry)).status.error_code == 0
        assert client.predict("a", X, label="stable").model_spec.version.value == version


@pytest.mark.usefixtures("usual")
def test_a_label_when_its_version_is_not_available_then_is_refused(
    managed, bases, reload_by, connect
):
    client = connect(managed.grpc_target)
    entry = model_config("a", bases / "a", f"{BOTH} {label('stable', 1)}")
    reload_by(models_text(entry))
    with pytest.raises(grpc.RpcError) as caught:
        reload_by(models_text(entry.replace("value: 1", "value: 3")))
    assert caught.value.code() == StatusCode.FAILED_PRECONDITION
    assert "not currently available for inference" in caught.value.details()
    assert client.predict("a", X, label="stable").model_spec.version.value == 1


@pytest.mark.usefixtures("usual")
def test_a_policy_when_replaced_then_only_its_versions_stay(managed, bases, reload_by, connect):
    client = connect(managed.grpc_target)
    only = "model_version_policy { specific { versions: 1 } }"
    reload_by(models_text(model_config("a", bases / "a", only)))
    managed.wait_until_gone("a", 2)
    assert client.predict("a", X).model_spec.version.value == 1


def test_the_models_file_when_replaced_then_the_server_follows_it(bases, start_server, connect):
    config = bases / "watched.config"

    def write(text):
        partial = config.with_suffix(".partial")
        partial.write_text(text)
        partial.rename(config)

    write(models_text(model_config("a", bases / "a", f"{BOTH} {label('stable', 1)}")))
    server = start_server(
        f"--model_config_file={config}",
        "--model_config_file_poll_wait_seconds=1",
        "--allow_version_labels_for_unavailable_models=true",
    )
    server.wait_until_available("a", 1, 2)
    client = connect(server.grpc_target)
    assert client.predict("a", X, label="stable").model_spec.version.value == 1

    write("model_config_list { what is this")  # is passed over, and what comes after is not
    time.sleep(2.5)  # at least two polls read it, however slow the machine is
    assert server.process.poll() is None, server.output()
    assert client.predict("a", X, label="stable").model_spec.version.value == 1
    assert client.status("a") == {2: AVAILABLE, 1: AVAILABLE}
    write(
        models_text(
            model_config("a", bases / "a", f"{BOTH} {label('stable', 2)}"),
            model_config("b", bases / "b"),
        )
    )
    server.wait_until_available("b", 1)
    server.wait_until(
        lambda: client.predict("a", X, label="stable").model_spec.version.value == 2,
        "the label's new version",
    )
