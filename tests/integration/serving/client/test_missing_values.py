"""A served model of rows that may lack anything, asked about the same rows in every way."""

from __future__ import annotations

import csv
import json
import shlex
import subprocess
import sys
import urllib.request
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip

from serving.client import GrpcClient, RestClient, ServingClientError
from serving.session import SavedModelSession
from tests import flats
from tests.contract.models import model_config, models_text
from tests.flats import BIDS, LABEL, RENT, ROOMS, ROWS, SIZE, TAGS, TOWN
from tests.serving_process import running

ASKED = (SIZE, ROOMS, TOWN, TAGS, BIDS)
SINGLE = (SIZE, ROOMS, TOWN)


def _only(values: list) -> object:
    return values[0] if values else None


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The model `flats`, and its rows in files of all kinds."""
    folder = tmp_path_factory.mktemp("served")
    flats.write_flats_model(folder / "flats" / "1", tmp_path_factory.mktemp("made"))
    config = models_text(model_config("flats", folder / "flats"))
    (folder / "models.config").write_text(config)
    (folder / "batching.config").write_text("max_batch_size { value: 64 }\n")
    with (folder / "rows.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", *ASKED])
        for row in ROWS:
            singles = [_only(row[name]) for name in SINGLE]
            lists = [json.dumps(row[name]) if row[name] else "" for name in (TAGS, BIDS)]
            writer.writerow([7, *singles, *lists])
    lines = []
    for number, row in enumerate(ROWS):
        values = {n: _only(row[n]) if n in SINGLE else row[n] for n in ASKED}
        if number % 2:  # one without the keys, one with null
            values = {name: value for name, value in values.items() if value not in (None, [])}
        lines.append(json.dumps(values or {SIZE: None}))
    (folder / "rows.jsonl").write_text("\n".join(lines))
    with tf.io.TFRecordWriter(str(folder / "rows.tfrecord")) as records:
        for row in ROWS:
            records.write(flats.example(row))
    return folder


@pytest.fixture(scope="module")
def expected(folder) -> list[float]:
    """The scores of the rows, from the model itself."""
    examples = np.array([flats.example(row) for row in ROWS], object)
    session = SavedModelSession(folder / "flats" / "1")
    return session.run("serving_default", {"examples": examples})["score"].tolist()


@pytest.fixture(scope="module")
def server(folder):
    command = [sys.executable, "-m", "serving.server", "--processes=1"]
    flags = [
        f"--model_config_file={folder / 'models.config'}",
        "--enable_batching",
        f"--batching_parameters_file={folder / 'batching.config'}",
    ]
    with running(command, flags, folder) as started:
        started.wait_until_available("flats", 1)
        yield started


@pytest.fixture(params=["rest", "grpc"])
def client(request, server):
    make = {"rest": (RestClient, server.rest_url), "grpc": (GrpcClient, server.grpc_target)}
    kind, address = make[request.param]
    with kind(address, "flats") as connected:
        yield connected


def test_client_when_it_gives_none_for_what_rows_lack_then_answers_as_the_model_does(
    client, expected
) -> None:
    columns = {
        name: [_only(row[name]) if name in SINGLE else row[name] for row in ROWS] for name in ASKED
    }
    found = client.predict(columns, signature="serving_raw")
    np.testing.assert_allclose(found["score"], expected, atol=1e-6)
    answers = client.predict(pd.DataFrame(columns), signature="serving_raw")
    np.testing.assert_allclose(answers["score"], expected, atol=1e-6)
    assert set(answers["label"]) <= {"dear", "cheap"}


def test_client_when_it_gives_examples_then_answers_as_the_model_does(client, expected) -> None:
    rows = [{name: value for name, value in row.items() if name != RENT} for row in ROWS]
    scores = client.classify(rows, signature="classify")["scores"]
    np.testing.assert_allclose(scores[:, 1], expected, atol=1e-6)
    outputs = client.regress(rows, signature="regress")["outputs"]
    np.testing.assert_allclose(outputs, expected, atol=1e-6)


def test_client_when_it_gives_a_fraction_for_an_integer_then_hears_what_is_allowed(client) -> None:
    with pytest.raises(ServingClientError, match="rooms: allowed: whole numbers between -2"):
        client.predict({ROOMS: [1.5]}, signature="serving_raw")


def test_rest_when_asked_in_rows_then_takes_nan_and_empty_text_by_the_features_names(
    server, expected
) -> None:
    missing = {SIZE: "NaN", ROOMS: "NaN", TOWN: '""'}
    rows = []
    for row in ROWS:
        cells = {n: json.dumps(_only(row[n])) if row[n] else missing[n] for n in SINGLE}
        cells[TAGS] = json.dumps(row[TAGS] + [""] * (3 - len(row[TAGS])))
        cells[BIDS] = f"[{', '.join([*map(str, row[BIDS]), *['NaN'] * (4 - len(row[BIDS]))])}]"
        rows.append("{" + ", ".join(f"{json.dumps(n)}: {cell}" for n, cell in cells.items()) + "}")
    body = f'{{"signature_name": "serving_raw", "instances": [{", ".join(rows)}]}}'
    with urllib.request.urlopen(
        f"{server.rest_url}/v1/models/flats:predict", body.encode()
    ) as answer:
        found = [row["score"] for row in json.load(answer)["predictions"]]
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("where", "rows"),
    [("here", "rows.csv"), ("rest", "rows.csv"), ("grpc", "rows.jsonl"), ("grpc", "rows.tfrecord")],
)
def test_predict_when_rows_lack_values_then_answers_as_the_model_does(
    folder, server, tapeline, expected, where, rows
) -> None:
    address = {
        "here": ["flats"],
        "rest": ["--model", "flats", "--url", server.rest_url],
        "grpc": ["--model", "flats", "--grpc", server.grpc_target],
    }[where]
    done = tapeline("predict", *address, rows, cwd=folder)
    found = [json.loads(line)["score"] for line in done.stdout.splitlines()]
    assert len(found) == len(expected), done
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_request_sample_when_rows_lack_values_then_the_server_answers(
    folder, server, tapeline, expected
) -> None:
    options = ["--rows", "4", "--url", server.rest_url]
    printed = tapeline("request-sample", "flats", *options, cwd=folder)
    assert "from flats/1/assets.extra/tf_serving_warmup_requests" in printed.stderr, printed
    done = subprocess.run(shlex.split(printed.stdout), capture_output=True, text=True, check=True)
    scores = [row["score"] for row in json.loads(done.stdout)["predictions"]]
    np.testing.assert_allclose(scores, expected[:4], atol=1e-6)
    assert LABEL not in printed.stdout and RENT not in printed.stdout
