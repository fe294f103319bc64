"""The command: what it refuses, with which words and exit code, and what it costs to ask."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

HEAVY = ("tensorflow", "tf_keras", "tfx", "apache_beam", "tensorflow_model_analysis")
LIST_IMPORTS = {"PYTHONPROFILEIMPORTTIME": "1"}
# A user's own module, once imported, leaves bytecode beside it as every Python module does.
NO_BYTECODE = {"PYTHONDONTWRITEBYTECODE": "1"}


def imported_and_said(stderr: str) -> tuple[set[str], list[str]]:
    """Splits stderr under `-X importtime` into the modules imported and the other lines."""
    modules, said = set(), []
    for line in stderr.splitlines():
        if line.startswith("import time:"):
            modules.add(line.rpartition("|")[2].strip())
        else:
            said.append(line)
    return modules, said


def assert_light(modules: set[str]) -> None:
    assert "pipeline.config_file" in modules, "the list of imports is not there"
    assert not {name for name in modules if name.partition(".")[0] in HEAVY}


@dataclass(frozen=True)
class Bad:
    """A run that is refused.

    Attributes:
        error: how a line of stderr begins: source, key, what was found, what is allowed.
        found: what that line says besides, where its wording is another program's.
        changes: of the ready configuration, by dotted key.
        files: beside the configuration.
    """

    error: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    sets: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    config: str = "run.yaml"
    found: str = ""


NO_THRESHOLD = [{"name": "accuracy", "head": "class"}]
TASKS = (
    "allowed: digits, breast_cancer, gan, image, cifar10, tabular, or the dotted path of a Task "
    "class"
)
BATCH_SIZES = "serve.batching.allowed_batch_sizes"

LIGHT = {
    "unknown key": Bad(
        "run.yaml: train.epoch: found a key that does not exist; allowed: did you mean epochs? "
        "known keys: epochs, batch_size",
        {"train.epoch": 5},
    ),
    "unknown key in --set": Bad(
        "--set train.epoch=5: train.epoch: found a key that does not exist; "
        "allowed: did you mean epochs? known keys: epochs, batch_size",
        sets=("train.epoch=5",),
    ),
    "wrong type": Bad(
        "run.yaml: train.epochs: found 'many'; allowed: an integer", {"train.epochs": "many"}
    ),
    "negative epochs": Bad(
        "run.yaml: train.epochs: found -1; allowed: a number above 0", {"train.epochs": -1}
    ),
    "negative epochs in --set": Bad(
        "--set train.epochs=-1: train.epochs: found -1; allowed: a number above 0",
        sets=("train.epochs=-1",),
    ),
    "missing file": Bad(
        "nowhere.yaml: (file): found no such file; allowed: a YAML file", config="nowhere.yaml"
    ),
    "root under a regular file": Bad(
        "run.yaml: root: found {here}/run.yaml, which is no folder; "
        "allowed: a folder that can be written",
        {"root": "run.yaml/runs"},
    ),
    "root under /proc": Bad(
        "run.yaml: root: found /proc: No such file or directory; "
        "allowed: a folder that can be written",
        {"root": "/proc/tapeline"},
    ),
    "label not in the data": Bad(
        "run.yaml: data.label: found 'cat'; allowed: a column of the data: image, digit",
        {"data.label": "cat"},
    ),
    "pictures of an unknown layout": Bad(
        "run.yaml: data.path: found pictures/cat: a folder 'cat'; allowed: train, eval, val, test",
        {
            "data": {"source": "image_folder", "path": "pictures"},
            "evaluate.slices": ["label"],
        },
        files={"pictures/cat/1.png": "x", "pictures/train/cat/1.png": "x"},
    ),
    "unknown task": Bad(f"run.yaml: task.name: found 'cats'; {TASKS}", {"task.name": "cats"}),
    "task whose module is missing": Bad(
        "run.yaml: task.name: found 'no_such_package.tasks.Cats': "
        f"no module 'no_such_package.tasks' on the Python path; {TASKS}",
        {"task.name": "no_such_package.tasks.Cats"},
    ),
    "task whose class is missing": Bad(
        f"run.yaml: task.name: found 'own_task.Cats': {{here}}/own_task.py has no Cats; {TASKS}",
        {"task.name": "own_task.Cats"},
        files={"own_task.py": "class Dogs:\n    pass\n"},
    ),
    "task whose module is not Python": Bad(
        "run.yaml: task",
        {"task.name": "own_task.Cats"},
        files={"own_task.py": "class Cats(:\n"},
        found="invalid syntax",
    ),
    "no threshold": Bad(
        "run.yaml: evaluate.metrics: found no threshold; allowed: at_least or at_most on one",
        {"evaluate.metrics": NO_THRESHOLD},
    ),
    "batch sizes out of order": Bad(
        f"run.yaml: {BATCH_SIZES}: found [8, 4, 64]; allowed: positive sizes in increasing order",
        {BATCH_SIZES: [8, 4, 64]},
    ),
    "last batch size is not the largest": Bad(
        f"run.yaml: {BATCH_SIZES}: found [8, 32]; "
        "allowed: the last one equal to max_batch_size (64)",
        {BATCH_SIZES: [8, 32]},
    ),
    "broken YAML": Bad(
        "broken.yaml: line 2, column 3: found expected ',' or ']', but got ':'; allowed: YAML",
        files={"broken.yaml": "name: [a\n b: c\n"},
        config="broken.yaml",
    ),
    "empty file": Bad(
        "empty.yaml: (file): found None; allowed: keys: name, root",
        files={"empty.yaml": ""},
        config="empty.yaml",
    ),
}
HEAVY_ONES = {
    "a split without rows": Bad(
        "run.yaml: data: found 0 of 2 rows in split 'eval'; allowed: a row or more in each split",
        {"data.limit": 2},
    ),
    "task whose module raises on import": Bad(
        "run.yaml: task",
        {"task.name": "own_task.Cats"},
        files={"own_task.py": "raise RuntimeError('no cats today')\nclass Cats: ...\n"},
        found="no cats today",
    ),
}


def cases(bad: Mapping[str, Bad]) -> list[Any]:
    return [pytest.param(case, id=name) for name, case in bad.items()]


def refuse(bad: Bad, here: Path, write_config, tree, tapeline) -> set[str]:
    """Runs what is to be refused, holds the refusal to its promises; returns what it imported."""
    write_config(bad.changes)
    for name, text in bad.files.items():
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_text(text)
    before = tree(here)

    overrides = [part for item in bad.sets for part in ("--set", item)]
    environment = LIST_IMPORTS | NO_BYTECODE
    done = tapeline("run", bad.config, *overrides, cwd=here, env=environment)

    modules, said = imported_and_said(done.stderr)
    assert done.code == 2, said
    assert all(line.startswith("error: ") for line in said), said
    expected = "error: " + bad.error.format(here=here.resolve())
    assert any(line.startswith(expected) and bad.found in line for line in said), said
    assert all("; allowed: " in line for line in said), said
    assert done.stdout == ""
    assert tree(here) == before, "a run that is refused writes nothing"
    return modules


@pytest.mark.parametrize("bad", cases(LIGHT))
def test_run_when_the_configuration_is_bad_then_says_so_without_tensorflow(
    bad: Bad, tmp_path, write_config, tree, tapeline
) -> None:
    assert_light(refuse(bad, tmp_path, write_config, tree, tapeline))


@pytest.mark.parametrize("bad", cases(HEAVY_ONES))
def test_run_when_the_task_or_its_rows_are_bad_then_says_so(
    bad: Bad, tmp_path, write_config, tree, tapeline
) -> None:
    refuse(bad, tmp_path, write_config, tree, tapeline)


def test_run_when_set_brings_a_bad_label_then_names_the_set(
    tmp_path, write_config, tapeline
) -> None:
    write_config()

    done = tapeline("run", "run.yaml", "--set", "data.label=cat", cwd=tmp_path)

    assert done.code == 2
    assert done.stderr.startswith("error: --set data.label=cat: data.label: found 'cat'; allowed: ")


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["--version"], ["runs", "."]])
def test_command_when_it_only_tells_then_imports_no_tensorflow(
    arguments, tmp_path, tapeline
) -> None:
    (tmp_path / "digits" / "runs").mkdir(parents=True)
    done = tapeline(*arguments, cwd=tmp_path, env=LIST_IMPORTS)

    modules, said = imported_and_said(done.stderr)
    assert (done.code, said) == (0, [])
    assert_light(modules)


def test_help_when_asked_then_gives_the_commands_and_exit_codes(tmp_path, tapeline) -> None:
    text = " ".join(tapeline("--help", cwd=tmp_path).stdout.split())

    for command in (
        "run", "check", "schema", "predict", "versions", "promote", "rollback", "serve",
        "request-sample", "tune-batching", "tflite", "events", "lineage", "explain-cache",
        "backfill", "runs", "doctor",
    ):  # fmt: skip
        assert f" {command} " in text
    assert (
        "Exit codes: 0 pushed or nothing new, 1 failed, 2 bad configuration or input, "
        "3 anomalies in the data, 4 not blessed or refused, 130 interrupted, 143 stopped "
        "by SIGTERM with the training saved." in text
    )


@pytest.fixture
def version(tmp_path: Path) -> Path:
    """A version as far as the command looks before it asks the model."""
    folder = tmp_path / "model" / "1"
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").touch()
    return folder


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        pytest.param(["model"], "predict: ROWS: found neither; allowed: one of", id="neither"),
        pytest.param(
            ["model", "rows.json", "--sample", "2"],
            "predict: ROWS: found both; allowed: one of ROWS and --sample N",
            id="both",
        ),
        pytest.param(
            ["model", "nowhere.json"],
            "nowhere.json: ROWS: found No such file or directory; allowed: a file of JSON or CSV",
            id="no such rows",
        ),
        pytest.param(
            ["model/1", "-"], "-: rows: found none; allowed: JSON objects, or CSV", id="empty stdin"
        ),
        pytest.param(
            ["empty", "rows.json"],
            "empty: MODEL: found no version in empty; allowed: a model that `tapeline run` pushed",
            id="folder without a version",
        ),
        pytest.param(
            ["run.yaml", "rows.json"],
            "run.yaml: MODEL: found no version in {here}/runs/digits/serving/digits; allowed: ",
            id="run that pushed nothing",
        ),
        pytest.param(
            ["nowhere", "rows.json"], "nowhere: (file): found no such file", id="no such model"
        ),
        pytest.param(
            ["model", "--sample", "2"],
            "model/1: --sample: found data {{}}; allowed: a version that says what it was trained",
            id="sample of a foreign model",
        ),
    ],
)
def test_predict_when_it_cannot_ask_then_exits_2_and_says_why(
    arguments, error, tmp_path, version, write_config, tapeline
) -> None:
    write_config()
    (tmp_path / "empty").mkdir()

    done = tapeline("predict", *arguments, cwd=tmp_path, stdin="", env=LIST_IMPORTS)

    modules, said = imported_and_said(done.stderr)
    assert (done.code, done.stdout, len(said)) == (2, "", 1), said
    assert said[0].startswith("error: " + error.format(here=tmp_path.resolve()))
    assert_light(modules)


def interrupt(folder: Path, *arguments: str) -> tuple[int, str]:
    """Returns the exit code and stderr of a command that Control-C hits while it reads `pipe`."""
    pipe = folder / "pipe"
    os.mkfifo(pipe)
    # A shell starts what it puts in the background with the signal ignored; that is inherited.
    program = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from pipeline.cli import main; main()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    with pipe.open("wb", buffering=0):  # returns when the command has opened the other end
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate()
    return process.returncode, stderr


def test_run_when_interrupted_then_exits_130_and_says_how_to_go_on(tmp_path) -> None:
    code, stderr = interrupt(tmp_path, "run", "pipe")
    assert code == 130
    assert stderr.strip() == "interrupted; the same command goes on from here"


def test_predict_when_interrupted_then_exits_130_without_a_traceback(tmp_path, version) -> None:
    code, stderr = interrupt(tmp_path, "predict", str(version), "pipe")
    assert (code, stderr.strip()) == (130, "")


def test_runs_when_there_is_no_such_root_then_exits_2(tmp_path, tapeline) -> None:
    done = tapeline("runs", "nowhere", cwd=tmp_path)

    assert done.code == 2
    assert (
        done.stderr == "error: runs: RUN: found nowhere, no run; allowed: a run's folder, or the "
        "id of one under runs\n"
    )


def test_runs_when_a_run_was_killed_then_lists_it_as_interrupted(tmp_path, tapeline) -> None:
    (tmp_path / "runs" / "digits" / "runs" / "20240101-000000-000000").mkdir(parents=True)

    done = tapeline("runs", cwd=tmp_path)

    assert re.fullmatch(r"digits +20240101-000000-000000 +interrupted +-\s*", done.stdout)


def test_doctor_when_every_check_passes_or_warns_then_exits_0(tmp_path, tapeline) -> None:
    done = tapeline("doctor", cwd=tmp_path, env=LIST_IMPORTS)

    levels = [line.split()[0] for line in done.stdout.splitlines()]
    assert {"ok"} <= set(levels) <= {"ok", "warn", "fail"}
    assert done.code == (1 if "fail" in levels else 0)
    modules, _ = imported_and_said(done.stderr)
    assert "tensorflow" not in modules


def test_doctor_when_a_check_fails_then_exits_1_and_advises(tapeline) -> None:
    done = tapeline("doctor", cwd=Path("/proc"))

    assert done.code == 1
    assert re.search(r"^fail +write access +/proc: .+ -> work in a folder", done.stdout, re.M)
