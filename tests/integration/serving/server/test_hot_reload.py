"""Versions that are pushed and rolled back under load: no request fails, none sees half a version.

Every model answers with its own serial number, in one output from a scalar and in another from a
matrix that is spread over the whole file of its variables.
"""

import json
import time
from dataclasses import dataclass

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2

from serving.config import ServeConfig
from serving.operations import rollback
from serving.versions import publish
from tests.contract.clients import Rest, predict_request

v1 = tf.compat.v1
CLIENTS = 32
PUSHES = 5
LOOKS = 24
"""At both paths, each on a connection of its own: some come to every process."""

POLL = 0.2
"""Seconds between two looks of the server at its files."""


def write_model(folder, serial):
    """Writes a model that answers with `serial`."""
    with tf.Graph().as_default(), v1.Session() as session:
        number = v1.get_variable("number", initializer=float(serial))
        spread = v1.get_variable("spread", initializer=np.full([512, 512], serial, np.float32))
        x = v1.placeholder(tf.float32, [None], name="x")
        outputs = {
            "x": tf.identity(x),
            "number": tf.zeros_like(x) + number,
            "mean": tf.zeros_like(x) + tf.reduce_mean(spread),
        }
        session.run(v1.global_variables_initializer())
        builder = v1.saved_model.Builder(str(folder))
        info = v1.saved_model.utils.build_tensor_info
        signature = v1.saved_model.build_signature_def(
            {"x": info(x)},
            {alias: info(tensor) for alias, tensor in outputs.items()},
            "tensorflow/serving/predict",
        )
        builder.add_meta_graph_and_variables(
            session, [tf.saved_model.SERVING], {"serving_default": signature}
        )
        builder.save()
    return folder


@dataclass
class Lifetime:
    """When a version may have answered: from before its push until every process had the next."""

    began: float
    ended: float = float("inf")


class Directory:
    """The serving directory, and the record of what was live in it when.

    Its server follows models.config, which keeps the version before the stable one loaded; or,
    `by_folder`, the model's folder alone, and has one version at a time.
    """

    def __init__(self, root, models, by_folder):
        self.root, self.models, self.by_folder = root, models, by_folder
        self.version_of = {}
        self.lifetimes = []

    def push(self, serial):
        self._begin(serial)
        config = ServeConfig(model_config_file_poll_wait_seconds=POLL)
        found = publish(self.models[serial], self.root, "m", config, {}, lambda folder: None)
        assert found.is_new
        self.version_of[serial] = int(found.folder.name)

    def roll_back(self, serial):
        self._begin(serial)
        if self.by_folder:
            newest = self.root / "m" / str(self.version_of[serial + 1])
            newest.rename(self.root / "taken-away")
        else:
            rollback(self.root / "m", self.version_of[serial], POLL)

    @property
    def label(self):
        return "" if self.by_folder else "stable"

    @property
    def flags(self):
        """What a server of this directory is started with."""
        polled = [f"--file_system_poll_wait_seconds={POLL}"]
        if self.by_folder:
            return [*polled, "--model_name=m", f"--model_base_path={self.root}/m"]
        return [
            *polled,
            f"--model_config_file={self.root}/models.config",
            f"--model_config_file_poll_wait_seconds={POLL}",
            "--enable_batching",
            f"--batching_parameters_file={self.root}/batching.config",
            "--enable_per_model_batching_parameters",
            "--allow_version_labels_for_unavailable_models",
        ]

    def wait_until_followed(self, server):
        """Waits until every process of the server answers with the version that is live now."""
        rest = Rest(server.rest_url)
        serial, looks = self.lifetimes[-1][0], 0

        def is_followed():
            nonlocal looks
            found = {
                rest.predict(path, {"inputs": [1.0]}).json["outputs"]["number"][0]
                for path in {"m", f"m/labels/{self.label}" if self.label else "m"}
            }
            looks = looks + 1 if found == {serial} else 0
            return looks == LOOKS

        server.wait_until(is_followed, f"serial {serial} from every process")
        for _, life in self.lifetimes[:-1]:
            life.ended = min(life.ended, time.monotonic())

    def was_live(self, serial, started, ended):
        return any(
            life.began <= ended and started <= life.ended
            for found, life in self.lifetimes
            if found == serial
        )

    def _begin(self, serial):
        self.lifetimes.append((serial, Lifetime(time.monotonic())))


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return [write_model(folder / str(serial), serial) for serial in range(PUSHES + 1)]


@pytest.fixture(params=["models.config", "folder"])
def directory(request, models, tmp_path):
    directory = Directory(tmp_path / "serving", models, request.param == "folder")
    directory.push(0)
    return directory


@pytest.fixture
def server(directory, start_server):
    server = start_server(*directory.flags)
    server.wait_until_available("m", directory.version_of[0])
    yield server
    server.stop()


def serial_of(record, version_of):
    """Returns the serial number of an answer, all of whose parts have the same."""
    if record.protocol == "rest":
        outputs = json.loads(record.answer)["outputs"]
        numbers, means, x = outputs["number"], outputs["mean"], outputs["x"]
    else:
        response = predict_pb2.PredictResponse.FromString(record.answer)
        numbers, means, x = (
            list(response.outputs[alias].float_val) for alias in ("number", "mean", "x")
        )
    assert x == [1.0, 2.0]
    (serial,) = {*numbers, *means}
    if record.protocol == "grpc":
        assert response.model_spec.version.value == version_of[serial]
    return int(serial)


def seen_over(load, protocol, serial, since, version_of):
    """Says whether a request sent after `since` was answered by this version."""
    recent = (
        record
        for record in reversed(load.records())
        if record.protocol == protocol and record.started > since and record.is_answered
    )
    return any(serial_of(record, version_of) == serial for record in recent)


@pytest.mark.parametrize(
    "pace",
    [
        pytest.param(0.0, id="as fast as it goes"),
        pytest.param(5.0, id="for 30 s", marks=pytest.mark.slow),
    ],
)
def test_versions_when_pushed_and_rolled_back_under_load_then_no_request_fails(
    pace, directory, server, start_load
):
    load = start_load(
        server,
        "/v1/models/m:predict",
        {"inputs": [1.0, 2.0]},
        predict_request("m", {"x": np.array([1.0, 2.0], np.float32)}, label=directory.label),
        clients=CLIENTS,
    )

    def wait_until_seen(serial, since):
        for protocol in ("rest", "grpc"):
            server.wait_until(
                lambda protocol=protocol: seen_over(
                    load, protocol, serial, since, directory.version_of
                ),
                f"serial {serial} over {protocol}",
            )
        while time.monotonic() < since + pace:
            time.sleep(0.01)

    wait_until_seen(0, 0.0)
    for serial in range(1, PUSHES + 1):
        began = time.monotonic()
        directory.push(serial)
        wait_until_seen(serial, began)
        directory.wait_until_followed(server)
    began = time.monotonic()
    directory.roll_back(PUSHES - 1)
    wait_until_seen(PUSHES - 1, began)
    directory.wait_until_followed(server)
    rolled_back = time.monotonic()
    wait_until_seen(PUSHES - 1, rolled_back)
    records = load.stop()

    failed = [record for record in records if not record.is_answered]
    assert not failed, (len(failed), len(records), failed[:5])
    serials = [serial_of(record, directory.version_of) for record in records]
    assert set(serials) == set(range(PUSHES + 1))
    for record, serial in zip(records, serials, strict=True):
        assert directory.was_live(serial, record.started, record.ended), (serial, record)
        assert record.started < rolled_back or serial == PUSHES - 1
