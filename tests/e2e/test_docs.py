"""The README and the pages of docs/, followed word for word."""

from __future__ import annotations

import inspect
import json
import os
import re
import shlex
import subprocess
import sys
import typing
import urllib.request
from pathlib import Path

import yaml

from pipeline.config import RunConfig
from pipeline.config_file import load_config
from trainer_module.tasks import load_task_class, make_task


def _shell_lines(text: str) -> list[str]:
    (block,) = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    return block.splitlines()


def _readme(repository: Path) -> str:
    return (repository / "README.md").read_text()


def _get_json(url: str) -> dict[str, str]:
    with urllib.request.urlopen(url) as answer:
        return json.load(answer)


def test_readme_two_commands_are_what_the_makefile_does(repository):
    assert "    make run\n    make test\n" in _readme(repository)
    # Without what the `make test` that runs this tells its children.
    environment = {name: value for name, value in os.environ.items() if "MAKE" not in name}
    plan = {
        target: subprocess.run(
            ["make", "-n", "-o", ".venv/.run-stamp", "-o", ".venv/.dev-stamp", target],
            cwd=repository,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()
        for target in ("run", "test")
    }  # fmt: skip
    # What these run is run by the other tests of this folder.
    assert plan["run"] == [
        ".venv/bin/tapeline run configs/digits.yaml",
        ".venv/bin/tapeline predict configs/digits.yaml --sample 3",
    ]
    assert plan["test"] == [
        ".venv/bin/python -m pytest -n 2 --dist loadgroup --no-loadscope-reorder"
    ]
    assert "make test" in (repository / ".ci" / "run").read_text().splitlines()


def _commands(repository: Path, *, of_breast_cancer: bool) -> list[str]:
    """Returns the README's commands that run the second ready job, or the others."""
    lines = _shell_lines(_readme(repository))
    return [line for line in lines if ("configs/breast_cancer.yaml" in line) == of_breast_cancer]


def _assert_works(line: str, done) -> None:
    assert done.code == 0, f"{line}\n{done}"
    assert done.stdout.strip(), line


def _words(line: str) -> list[str]:
    """Returns the arguments of a command, as a shell would."""
    program, *words = shlex.split(line)
    assert program == "tapeline"
    return words


def test_readme_commands_all_work(repository, digits_run, digits_again, workdir, tapeline):
    """In the folder of the shared run, so that most of it comes from the cache.

    One is typed, which shows that the environment's `tapeline` is the program of the others.
    """
    lines = _commands(repository, of_breast_cancer=False)
    assert len(lines) >= 6
    lines.remove("tapeline run configs/digits.yaml --json")
    _assert_works("tapeline run configs/digits.yaml --json", digits_again)
    for line in lines:
        _assert_works(line, tapeline(*_words(line), cwd=workdir))


def test_readme_commands_of_the_other_job_work_too(
    repository, breast_cancer_run, breast_cancer_workdir, tapeline
):
    lines = _commands(repository, of_breast_cancer=True)
    assert lines
    for line in lines:
        _assert_works(line, tapeline(*_words(line), cwd=breast_cancer_workdir))


def test_readme_output_is_what_a_run_prints(repository, digits_run):
    """Line by line, figures and paths aside."""

    def shape(text: str) -> list[str]:
        lines = [" ".join(line.split()) for line in text.splitlines()]
        lines = [line for line in lines if line and not line.startswith(("epoch", "..."))]
        return [re.sub(r"\d[\d.-]*|\S*/\S*", "#", line) for line in lines]

    shown = _readme(repository).partition("```\n")[2].partition("```")[0]
    nodes_aside = sorted(shape(shown)), sorted(shape(digits_run.stderr))
    assert nodes_aside[0] == nodes_aside[1]


def test_configuration_page_names_every_key(repository):
    page = (repository / "docs" / "configuration.md").read_text()

    def keys(model) -> list[str]:
        found = []
        for name, field in model.model_fields.items():
            found.append(name)
            # A section that comes in several kinds is a union of them.
            for inner in (field.annotation, *typing.get_args(field.annotation)):
                if hasattr(inner, "model_fields"):
                    found += keys(inner)
        return found

    missing = [key for key in keys(RunConfig) if f"`{key}`" not in page and f".{key}`" not in page]
    sections = [
        "data",
        "schema",
        "validate",
        "task",
        "transform",
        "train",
        "evaluate",
        "serve",
        "lite",
        "beam",
    ]
    assert not missing
    assert all(f"`{section}`" in page for section in sections)


def test_images_page_shows_configurations_that_hold_and_every_option(repository, tmp_path):
    page = (repository / "docs" / "images.md").read_text()
    shown = re.findall(r"```yaml\n# (\S+)\n(.*?)```", page, re.DOTALL)
    assert [name for name, _ in shown] == ["animals.yaml", "mnist.yaml", "fashion.yaml"]
    assert f"tapeline run {shown[0][0]}" in page
    for name, text in shown:
        (tmp_path / name).write_text(text)
        config = load_config(str(tmp_path / name))
        task = make_task(config.task)
        assert list(task.class_names) == config.task.options["classes"]

    options = inspect.signature(load_task_class("image")).parameters
    cells = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", page, re.MULTILINE))
    assert cells.keys() == options.keys()
    for name, parameter in options.items():
        if name != "classes":
            assert yaml.safe_load(cells[name].strip("`")) == parameter.default


def test_adversarial_page_shows_phases_that_work_and_every_option(repository):
    import numpy as np

    from trainer_module.state import build_model, seed_keras

    page = (repository / "docs" / "adversarial.md").read_text()
    (block,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict[str, typing.Any] = {}
    exec(block, names)
    gan = load_task_class("gan")
    seed_keras(0)
    model = build_model(gan(), {}, "float32")
    features = {"image": np.ones([3, 8, 8, 1], np.float32), "class": np.zeros(3, np.int64)}
    phases = names["Duel"].phases(None, model)
    assert [(phase.name, phase.repeats) for phase in phases] == [("critic", 2), ("generator", 1)]
    for phase in phases:
        losses = phase.forward(features).losses
        assert losses.keys() == phase.losses.keys()
        assert all(loss.shape == (3,) for loss in losses.values())

    shown = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", page, re.MULTILINE))
    defaults = {name: p.default for name, p in inspect.signature(gan).parameters.items()}
    assert {name: yaml.safe_load(text) for name, text in shown.items()} == defaults


def test_readme_tensorboard_command_shows_the_trainings_of_the_run(repository, digits_run, workdir):
    """Word for word, but for a free port instead of TensorBoard's usual one."""
    (command,) = re.findall(r"`\.venv/bin/(tensorboard [^`]+)`", _readme(repository))
    program, *arguments = shlex.split(command)
    server = subprocess.Popen(
        [str(Path(sys.executable).parent / program), *arguments, "--port=0"],
        cwd=workdir,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stderr is not None
        said, address = [], None
        for line in server.stderr:
            said.append(line)
            address = re.search(r"http://localhost:\d+/", line)
            if address:
                break
        assert address, "".join(said)
        logdir = _get_json(f"{address.group()}data/environment")["data_location"]
    finally:
        server.kill()
        server.wait()
    written = {path.parent.name for path in (workdir / logdir).rglob("events.out.tfevents.*")}
    assert written == {"train", "eval"}


def test_readme_other_targets_exist_and_the_benchmark_explains_itself(repository):
    """CI runs `make lint` before these tests; `make bench` takes minutes of an idle machine."""
    named = set(re.findall(r"`make ([a-z-]+)`", _readme(repository)))
    targets = set(re.findall(r"^([a-z-]+):", (repository / "Makefile").read_text(), re.MULTILINE))
    assert named <= targets
    assert "make lint" in (repository / ".ci" / "run").read_text().splitlines()
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.whole_run", "--help"],
        cwd=repository, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "--rounds" in done.stdout
