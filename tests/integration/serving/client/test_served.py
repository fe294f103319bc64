"""The clients and the commands, asking a server that runs."""

from __future__ import annotations

import csv
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip

from serving.client import GrpcClient, RestClient, ServingClientError
from tests.contract.models import model_config, models_text, write_half_plus_two
from tests.serving_process import free_ports, running
from tests.small_model import write_small_model

ROWS = 100


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Models `small`, `digits` and `half_plus_two`, and rows of all kinds to ask `small` about."""
    folder = tmp_path_factory.mktemp("served")
    for name in ("small", "digits"):
        write_small_model(folder / name / "1")
    write_half_plus_two(folder / "half_plus_two" / "1")
    names = ("small", "digits", "half_plus_two")
    config = models_text(*(model_config(name, folder / name) for name in names))
    (folder / "models.config").write_text(config)
    rows = [{"x": [number, 0.5], "word": f"wörd {number}"} for number in range(ROWS)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with (folder / "rows.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "word", "x"])
        writer.writerows([7, row["word"], json.dumps(row["x"])] for row in rows)
    with tf.io.TFRecordWriter(str(folder / "rows.tfrecord.gz"), "GZIP") as records:
        for row in rows:
            example = tf.train.Example()
            example.features.feature["x"].float_list.value.extend(row["x"])
            example.features.feature["word"].bytes_list.value.append(row["word"].encode())
            records.write(example.SerializeToString())
    (folder / "pictures").mkdir()
    for grey in (10, 200):
        Image.new("RGB", (6, 4), (grey, grey, grey)).save(folder / "pictures" / f"{grey:03}.png")
    return folder


@pytest.fixture(scope="module")
def server(folder):
    command = [sys.executable, "-m", "serving.server", "--processes=1"]
    flags = [f"--model_config_file={folder / 'models.config'}"]
    with running(command, flags, folder) as started:
        for name in ("small", "digits", "half_plus_two"):
            started.wait_until_available(name, 1)
        yield started


@pytest.fixture(params=["rest", "grpc"])
def address(request, server) -> list[str]:
    """Options of a command that asks the server."""
    if request.param == "rest":
        return ["--url", server.rest_url]
    return ["--grpc", server.grpc_target]


@pytest.fixture(params=["rest", "grpc"])
def connect(request, server):
    def client(model: str):
        if request.param == "rest":
            return RestClient(server.rest_url, model)
        return GrpcClient(server.grpc_target, model)

    return client


@pytest.fixture(scope="module")
def local(folder, tapeline) -> str:
    """What `tapeline predict` answers to the rows without a server."""
    done = tapeline("predict", "small", "rows.csv", cwd=folder)
    assert done.code == 0, done
    assert len(done.stdout.splitlines()) == ROWS
    return done.stdout


def test_client_when_it_predicts_then_answers_of_the_signatures_types(connect) -> None:
    with connect("small") as client:
        answers = client.predict({"x": [[1, 2]], "word": ["ö"]}, signature="serving_raw")
    assert answers["sum"].dtype == np.float32
    assert answers["sum"].tolist() == [3.0]
    assert answers["echo_bytes"].tolist() == ["ö".encode()]


def test_client_when_it_classifies_and_regresses_then_answers(connect) -> None:
    with connect("half_plus_two") as client:
        signatures = client.metadata().signatures
        by_method = {one.method.rpartition("/")[2]: name for name, one in signatures.items()}
        examples = [{"x": 2.0}, {"x": 4.0}]
        scores = client.classify(examples, signature=by_method["classify"])["scores"]
        outputs = client.regress(examples, signature=by_method["regress"])["outputs"]
    assert scores.tolist() == [[3.0], [4.0]]
    assert outputs.tolist() == [3.0, 4.0]


def test_client_when_it_asks_wrongly_then_hears_the_canonical_code(connect) -> None:
    with connect("small") as client:
        assert client.wait_until_available(timeout=60).version == 1
        with pytest.raises(ServingClientError) as caught:
            client.predict({"x": [[1, 2, 3]], "word": ["a"]}, signature="serving_raw")
        assert caught.value.code.name == "INVALID_ARGUMENT"
        with pytest.raises(ServingClientError) as caught:
            client.predict({"x": [[1, 2]], "word": ["a"]}, signature="serving_raw", version=9)
        assert caught.value.code.name == "NOT_FOUND"
        assert caught.value.message == "Servable not found for request: Specific(small, 9)"


@pytest.mark.parametrize("rows", ["rows.csv", "rows.jsonl", "rows.tfrecord.gz"])
def test_predict_when_a_server_answers_then_as_the_model_does_here(
    folder, local, address, tapeline, rows
) -> None:
    options = ["--batch", "7", "--in-flight", "5"]
    done = tapeline("predict", "--model", "small", rows, *address, *options, cwd=folder)
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout == local


def test_predict_when_asked_for_csv_in_a_file_then_written_there(
    folder, local, address, tapeline, tmp_path
) -> None:
    out = tmp_path / "answers.csv"
    options = ["--format", "csv", "--output", str(out)]
    done = tapeline("predict", "small", "rows.csv", *address, *options, cwd=folder)
    assert (done.code, done.stdout) == (0, "")
    with out.open(newline="") as file:
        answers = list(csv.DictReader(file))
    expected = [json.loads(line) for line in local.splitlines()]
    assert [float(answer["sum"]) for answer in answers] == [row["sum"] for row in expected]
    assert [json.loads(answer["twice"]) for answer in answers] == [row["twice"] for row in expected]
    assert [answer["echo"] for answer in answers] == [row["echo"] for row in expected]


@pytest.mark.parametrize("signature", ["pixels", "encoded"])
def test_predict_when_asked_about_pictures_then_names_each(
    folder, address, tapeline, signature
) -> None:
    done = tapeline(
        "predict", "small/1", "pictures", *address, "--signature", signature, cwd=folder
    )
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        {"file": "pictures/010.png", "mean": 10.0},
        {"file": "pictures/200.png", "mean": 200.0},
    ], done


def test_predict_when_the_signature_takes_examples_then_records_go_as_they_are(
    folder, server, tapeline
) -> None:
    options = ["--grpc", server.grpc_target, "--signature", "serving_default"]
    done = tapeline("predict", "small", "rows.tfrecord.gz", *options, cwd=folder)
    answers = [json.loads(line)["sum"] for line in done.stdout.splitlines()]
    assert answers == [number + 0.5 for number in range(ROWS)], done


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        pytest.param(
            ["--model", "nope", "rows.csv"],
            "found Servable not found for request: Latest(nope); allowed: a model, version or lab",
            id="model",
        ),
        pytest.param(
            ["small", "rows.csv", "--version", "9"], "Specific(small, 9); allowed", id="version"
        ),
        pytest.param(
            ["small", "rows.csv", "--label", "zz"],
            "Unrecognized servable version label: zz",
            id="label",
        ),
        pytest.param(
            ["small", "rows.csv", "--signature", "zz"],
            "--signature: found 'zz'; allowed: digit, encoded, pixels",
            id="signature",
        ),
        pytest.param(
            ["small", "bad.csv"],
            "bad.csv: row 2: x: found shape [1]; allowed: float32 of shape [2]",
            id="row",
        ),
    ],
)  # fmt: skip
def test_predict_when_asked_wrongly_then_exits_2_and_says_what_is_allowed(
    folder, address, tapeline, arguments, error
) -> None:
    (folder / "bad.csv").write_text('x,word\n"[1, 2]",a\n[1],b\n')
    done = tapeline("predict", *arguments, *address, cwd=folder)
    assert done.code == 2, done
    assert error in done.stderr


def test_predict_when_the_server_is_away_then_exits_1_and_says_what_to_do(folder, tapeline) -> None:
    (port,) = free_ports(1)
    for address in (["--url", f"http://127.0.0.1:{port}"], ["--grpc", f"127.0.0.1:{port}"]):
        options = [*address, "--deadline", "1", "--output", "answers.jsonl"]
        done = tapeline("predict", "small", "rows.csv", *options, cwd=folder)
        assert (done.code, done.stdout) == (1, ""), done
        assert f"127.0.0.1:{port}, model small: UNAVAILABLE: " in done.stderr
        assert "is it up, and the address right?" in done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert not (folder / "answers.jsonl").exists()


@pytest.mark.parametrize("signature", ["serving_raw", "pixels"])
@pytest.mark.parametrize("options", [[], ["--column"], ["--rows", "3"]], ids=" ".join)
def test_request_sample_when_its_line_is_run_then_the_server_answers(
    folder, server, tapeline, signature, options
) -> None:
    options = [*options, "--signature", signature, "--url", server.rest_url]
    printed = tapeline("request-sample", "small", *options, cwd=folder)
    assert printed.code == 0, printed
    command = shlex.split(printed.stdout)
    assert command[0] == "curl"
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    answer = json.loads(done.stdout)
    assert len(answer.get("predictions", [])) == (3 if "--rows" in options else 1) or (
        "--column" in options and "outputs" in answer
    ), answer


def test_request_sample_when_given_a_grpc_target_then_its_program_runs(
    folder, server, tapeline
) -> None:
    printed = tapeline(
        "request-sample", "--model", "half_plus_two", "--grpc", server.grpc_target,
        "--signature", "serving_default", cwd=folder,
    )  # fmt: skip
    assert printed.code == 0, printed
    done = subprocess.run(
        [sys.executable, "-c", printed.stdout], capture_output=True, text=True, check=True
    )
    assert "array([2.], dtype=float32)" in done.stdout


def test_clients_page_example_when_run_then_works(repository, server) -> None:
    page = (repository / "docs" / "clients.md").read_text()
    (program,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    for shown, real in {
        "http://localhost:8501": server.rest_url,
        "localhost:8500": server.grpc_target,
        '"serving_raw"': '"digit"',
    }.items():
        assert shown in program
        program = program.replace(shown, real)
    exec(program, {})


def test_clients_page_commands_when_parsed_then_have_options_that_exist(
    repository, server, tapeline, folder
) -> None:
    page = (repository / "docs" / "clients.md").read_text()
    blocks = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    assert len(lines) == 7
    for line in lines:
        words = shlex.split(line.partition(" | ")[0])
        known = tapeline(words[1], "--help", cwd=folder, env={"COLUMNS": "200"}).stdout
        for option in (word for word in words if word.startswith("--")):
            assert option in known, (option, line)
