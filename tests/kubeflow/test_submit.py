"""`tapeline submit`, from the command to a real kfp client to a server with the real rules."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.compiled import SPECIFICATION, write_compiled

DONE = {"ExampleGen": "SUCCEEDED", "Trainer": "SUCCEEDED"}
NO_TOKEN = {"KF_PIPELINES_TOKEN": "", "KF_PIPELINES_SA_TOKEN_PATH": ""}


def test_submit_when_taken_then_run_in_experiment_of_pipeline(api_server, compiled, tapeline):
    done = tapeline("submit", str(compiled), "--host", api_server.host, "--json", cwd=compiled)
    assert done.code == 0, done
    (experiment,) = api_server.sent("/experiments")
    (run,) = api_server.sent("/runs")
    assert experiment["display_name"] == "small"
    assert run["display_name"] == done.summary["name"]
    assert run["display_name"].startswith("small-20")
    assert run["pipeline_spec"]["schemaVersion"] == "2.1.0"
    assert run["runtime_config"]["parameters"] == {}
    assert done.summary["url"] == f"{api_server.host}/#/runs/details/{done.summary['run_id']}"
    assert done.summary["state"] == "PENDING"


def test_submit_when_parameters_given_then_sent_as_their_types(api_server, compiled, tapeline):
    given = ("span=2026-11-28", "epochs=3", "rate=1", "warm=true")
    words = [word for one in given for word in ("--parameter", one)]
    done = tapeline("submit", str(compiled), "--host", api_server.host, *words, cwd=compiled)
    assert done.code == 0, done
    (run,) = api_server.sent("/runs")
    values = run["runtime_config"]["parameters"]
    assert values == {"span": "2026-11-28", "epochs": 3, "rate": 1.0, "warm": True}
    assert [type(value) for value in values.values()] == [str, int, float, bool]


def test_submit_when_configured_then_server_is_told(api_server, tmp_path, tapeline):
    section = (
        f"{{host: '{api_server.host}', namespace: team, experiment: nightly, "
        "service_account: trainer}"
    )
    folder = write_compiled(tmp_path / "compiled", kubeflow=section)
    api_server.plan(multi_user=True)
    done = tapeline("submit", str(folder), "--name", "tonight", cwd=tmp_path)
    assert done.code == 0, done
    (experiment,) = api_server.sent("/experiments")
    (run,) = api_server.sent("/runs")
    assert (experiment["display_name"], experiment["namespace"]) == ("nightly", "team")
    assert (run["display_name"], run["service_account"]) == ("tonight", "trainer")


def test_submit_when_platform_document_follows_then_sent_beside_pipeline(
    api_server, tmp_path, tapeline
):
    platform = {
        "platforms": {
            "kubernetes": {
                "deploymentSpec": {"executors": {"Trainer_executor": {"nodeSelector": {}}}}
            }
        }
    }
    text = f"{SPECIFICATION}\n---\n{yaml.safe_dump(platform)}"
    folder = write_compiled(tmp_path / "compiled", text)
    done = tapeline("submit", str(folder), "--host", api_server.host, cwd=tmp_path)
    assert done.code == 0, done
    (run,) = api_server.sent("/runs")
    assert set(run["pipeline_spec"]) == {"pipeline_spec", "platform_spec"}
    assert "kubernetes" in run["pipeline_spec"]["platform_spec"]["platforms"]


def test_wait_when_run_succeeds_then_nodes_shown_and_code_0(api_server, compiled, tapeline):
    states = [
        ["RUNNING", {"ExampleGen": "RUNNING"}],
        ["RUNNING", {"ExampleGen": "SUCCEEDED", "Trainer": "RUNNING"}],
        ["SUCCEEDED", DONE],
    ]
    api_server.plan(states=states)
    done = tapeline(
        *("submit", str(compiled), "--host", api_server.host, "--wait", "--json"), cwd=compiled
    )
    assert done.code == 0, done
    assert done.summary["state"] == "SUCCEEDED"
    assert done.summary["nodes"] == DONE
    lines = [line.split() for line in done.stderr.splitlines()]
    assert ["ExampleGen", "running"] in lines
    assert ["Trainer", "done", "4.0", "s"] in lines
    assert "root" not in done.stderr  # Argo's own nodes


def test_wait_when_run_fails_then_code_1_and_cause(api_server, compiled, tapeline):
    api_server.plan(states=[["FAILED", {"ExampleGen": "FAILED"}]])
    done = tapeline("submit", str(compiled), "--host", api_server.host, "--wait", cwd=compiled)
    assert done.code == 1, done
    assert "ExampleGen         failed" in done.stdout
    assert f"failed: a task failed  -> {api_server.host}/#/runs/details/" in done.stdout


def test_wait_when_time_is_over_then_code_1_and_run_goes_on(api_server, compiled, tapeline):
    api_server.plan(states=[["RUNNING", {}]])
    done = tapeline(
        *("submit", str(compiled), "--host", api_server.host, "--wait", "--timeout", "1"),
        cwd=compiled,
    )
    assert done.code == 1, done
    assert "running after 1 s; it goes on: " in done.stdout


def test_wait_when_interrupted_then_code_130_and_run_is_named(api_server, compiled, repository):
    api_server.plan(states=[["RUNNING", {"ExampleGen": "RUNNING"}]])
    waiting = subprocess.Popen(
        [
            *(sys.executable, "-m", "pipeline.cli", "submit", str(compiled)),
            *("--host", api_server.host, "--wait"),
        ],
        cwd=repository,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert waiting.stdout is not None
    for line in waiting.stdout:
        if line.startswith("ExampleGen"):
            break
    waiting.send_signal(signal.SIGINT)
    _, said = waiting.communicate()
    assert waiting.returncode == 130
    assert f"interrupted; the run goes on: {api_server.host}/#/runs/details/" in said


@pytest.mark.parametrize(
    ("pipeline", "said", "advice"),
    [
        (
            "schema-2.0",
            "KFP only supports schema version 2.1.0, but the pipeline spec has version 2.0.0",
            "tapeline compile CONFIG --target kubeflow",
        ),
        (
            "resolver",
            "non-container and non-importer executor not implemented",
            "tapeline compile CONFIG --target kubeflow",
        ),
    ],
)
def test_submit_when_stock_compiler_wrote_it_then_servers_refusal_shown(
    api_server, stock, tapeline, pipeline, said, advice
):
    done = tapeline(
        *("submit", str(stock[pipeline]), "--host", api_server.host, "--name", "it"),
        cwd=stock[pipeline],
    )
    assert done.code == 1, done
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: asked {api_server.host} to run it: 500 Internal Server Error: ")
    assert said in line
    assert line.endswith(advice)


def test_submit_when_runtime_parameter_lost_its_default_then_refused_before_anything_is_sent(
    api_server, stock, tapeline
):
    folder = stock["parameter"]
    done = tapeline("submit", str(folder), "--host", api_server.host, cwd=folder)
    assert done.code == 2, done
    assert "--parameter data: found nothing; allowed: a text: it has no default" in done.stderr
    assert api_server.record["requests"] == []


def test_submit_when_no_pipeline_to_kfp_then_nothing_is_made(api_server, tmp_path, tapeline):
    folder = write_compiled(tmp_path / "compiled", SPECIFICATION + "surprise: 1\n")
    done = tapeline("submit", str(folder), "--host", api_server.host, cwd=tmp_path)
    assert done.code == 1, done
    assert f"asked kfp to read {folder / 'pipeline.yaml'}: " in done.stderr
    assert "surprise" in done.stderr
    assert api_server.sent("/experiments") == []


def test_submit_when_server_down_then_one_line_says_so(compiled, tapeline, free_port):
    host = f"http://127.0.0.1:{free_port}"
    done = tapeline("submit", str(compiled), "--host", host, "--json", cwd=compiled)
    assert done.code == 1, done
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: asked {host} whether it is there: ")
    assert "Connection refused" in line
    assert json.loads(done.stdout)["error"]["said"].endswith("Connection refused")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ([200, "text/html", "<html>Log in"], "an answer that is none of Kubeflow Pipelines'"),
        ([502, "text/html", "<html>Bad gateway"], "502 Bad Gateway: <html>Bad gateway"),
        ([404, "text/plain", "page"], "on many clusters it ends in /pipeline"),
    ],
)
def test_submit_when_something_else_answers_then_said(api_server, compiled, tapeline, answer, said):
    api_server.plan(fail=answer)
    done = tapeline("submit", str(compiled), "--host", api_server.host, cwd=compiled)
    assert done.code == 1, done
    (line,) = done.stderr.splitlines()
    assert said in line


@pytest.mark.parametrize("place", ["variable", "file"])
def test_token_reaches_server_in_header_and_nowhere_else(
    api_server, compiled, repository, tmp_path, place
):
    """Looks at `ps` while the command waits, and at all that it prints and sends."""
    token = "very-s3cret"
    (tmp_path / "token").write_text(f"{token}\n")
    environment = {
        "variable": {"KF_PIPELINES_TOKEN": token},
        "file": {"KF_PIPELINES_SA_TOKEN_PATH": "token"},
    }[place]
    api_server.plan(token=token, states=[["RUNNING", DONE], ["RUNNING", {}], ["SUCCEEDED", {}]])
    command = [
        *(sys.executable, "-m", "pipeline.cli", "submit", str(compiled)),
        *("--host", api_server.host, "--wait"),
    ]
    path = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(repository)}
    waiting = subprocess.Popen(
        command,
        cwd=tmp_path,
        env={**path, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert waiting.stdout is not None
    first = waiting.stdout.readline()
    processes = [one.read_bytes() for one in Path("/proc").glob("[0-9]*/cmdline")]
    said = "".join([first, *waiting.communicate()])
    assert waiting.returncode == 0, said
    assert any(b"kubeflow.submission" in line for line in processes)
    assert not any(token.encode() in line for line in processes)
    assert token not in said
    requests = api_server.record["requests"]
    assert {request["headers"]["authorization"] for request in requests} == {f"Bearer {token}"}
    assert token not in json.dumps([request["body"] for request in requests])


def test_token_when_refused_and_sent_back_then_not_shown(api_server, compiled, tapeline):
    api_server.plan(token="another")
    done = tapeline(
        *("submit", str(compiled), "--host", api_server.host, "--json"),
        cwd=compiled,
        env={"KF_PIPELINES_TOKEN": "very-s3cret"},
    )
    assert done.code == 1, done
    assert "401 Unauthorized" in done.stderr
    assert "Bearer (token)" in done.stderr
    assert "very-s3cret" not in str(done)


def test_token_when_file_is_missing_then_said_before_anything_is_sent(
    api_server, compiled, tapeline
):
    done = tapeline(
        *("submit", str(compiled), "--host", api_server.host),
        cwd=compiled,
        env={**NO_TOKEN, "KF_PIPELINES_SA_TOKEN_PATH": str(compiled / "nowhere")},
    )
    assert done.code == 1, done
    assert "asked for the token in KF_PIPELINES_SA_TOKEN_PATH: " in done.stderr
    assert api_server.record["requests"] == []
