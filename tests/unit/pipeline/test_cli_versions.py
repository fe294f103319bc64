"""`tapeline versions`, `rollback`, `promote`: what they print, refuse, and leave behind."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from serving.config import ServeConfig
from serving.rollout import read_served
from serving.versions import publish


@pytest.fixture
def push(tmp_path: Path, monkeypatch) -> Callable[[Path, int], None]:
    """Pushes a model of its own as the version of that number of `digits`."""

    def run(root: Path, version: int) -> None:
        source = tmp_path / f"model-{version}"
        source.mkdir()
        (source / "saved_model.pb").write_text(f"graph {version}")
        monkeypatch.setattr("serving.versions.time.time", lambda: float(version))
        publish(source, root, "digits", ServeConfig(), {}, lambda _: None)

    return run


@pytest.fixture
def base(tmp_path: Path, push) -> Path:
    """A model's folder with the versions 1, 2 and 3."""
    root = tmp_path / "serving"
    for version in (1, 2, 3):
        push(root, version)
    card = {"metrics": {"class/accuracy": 0.9777}}
    (root / "digits" / "3" / "assets.extra" / "model_card.json").write_text(json.dumps(card))
    return root / "digits"


@pytest.fixture
def config(tmp_path: Path, base: Path, write_config) -> str:
    """A run's configuration that pushes there."""
    write_config({"serve.root": str(base.parent), "serve.model_name": "digits"})
    return "run.yaml"


def test_versions_when_a_model_has_some_then_lists_them_oldest_first(base, tmp_path, tapeline):
    done = tapeline("versions", "serving/digits", cwd=tmp_path)

    assert (done.code, done.stderr) == (0, "")
    header, *rows = [line.split() for line in done.stdout.splitlines()]
    assert header == ["VERSION", "PUSHED", "LABELS", "SERVED", "SIZE", "DIGEST", "METRICS"]
    assert [(row[0], row[2], row[3]) for row in rows] == [
        ("1", "-", "no"),
        ("2", "-", "yes"),
        ("3", "stable", "default"),
    ]
    assert rows[2][-2:] == ["class/accuracy", "0.9777"]


def test_versions_when_json_is_wanted_then_each_line_is_a_version(base, tmp_path, tapeline):
    done = tapeline("versions", str(base), "--json", cwd=tmp_path)

    versions = [json.loads(line) for line in done.stdout.splitlines()]
    assert [version["version"] for version in versions] == [1, 2, 3]
    assert versions[2]["labels"] == ["stable"]
    assert versions[2]["metrics"] == {"class/accuracy": 0.9777}
    assert versions[2]["folder"] == str(base.resolve() / "3")
    assert len(versions[0]["digest"]) == 64


def test_rollback_and_promote_when_a_configuration_is_given_then_print_was_is_and_a_note(
    base, config, tmp_path, tapeline
):
    done = tapeline("rollback", config, cwd=tmp_path)
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["was     stable 3", "is      stable 2", "served  2"]

    again = tapeline("rollback", config, "2", cwd=tmp_path)
    assert again.stdout.splitlines() == ["nothing to do: stable 2", "served  2"]

    canary = tapeline("promote", config, "3", "--label", "canary", cwd=tmp_path)
    assert canary.code == 0
    assert canary.stdout.splitlines() == [
        "was     stable 2",
        "is      canary 3  stable 2",
        "served  2, 3",
    ]
    assert canary.stderr == (
        "note: a request without a label goes to the largest version that is served, 3 (canary); "
        "clients that want 2 ask for the label stable\n"
    )

    history = tapeline("versions", config, "--history", cwd=tmp_path)
    header, *rows = [line.split() for line in history.stdout.splitlines()]
    assert header[1:] == ["OPERATION", "VERSION", "USER", "BEFORE", "AFTER", "OUTCOME"]
    assert [(row[1], row[2], *row[4:]) for row in rows] == [
        ("push", "1", "-", "stable=1", "done"),
        ("push", "2", "stable=1", "stable=2", "done"),
        ("push", "3", "stable=2", "stable=3", "done"),
        ("rollback", "2", "stable=3", "stable=2", "done"),
        ("promote", "3", "stable=2", "canary=3,stable=2", "done"),
    ]
    lines = tapeline("versions", config, "--history", "--json", cwd=tmp_path).stdout.splitlines()
    assert json.loads(lines[-1])["after"] == {"canary": 3, "stable": 2}
    assert json.loads(lines[-1])["outcome"] == "done"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        pytest.param(
            ["rollback", "serving/digits", "9"],
            "serving/digits: VERSION: found 9, no version in serving/digits; allowed: older "
            "than 3, the stable one: 1, 2",
            id="no such version",
        ),
        pytest.param(
            ["promote", "serving/digits", "9", "--label", "canary"],
            "serving/digits: VERSION: found 9, no version in serving/digits; allowed: 1, 2, 3",
            id="nothing to promote",
        ),
        pytest.param(
            ["versions", "serving/digits/3"],
            "serving/digits/3: MODEL: found no version in serving/digits/3; allowed: a model that",
            id="a version's folder",
        ),
        pytest.param(
            ["rollback", "nowhere.yaml"], "nowhere.yaml: (file): found no such file", id="no config"
        ),
    ],
)
def test_command_when_it_cannot_be_then_exits_2_names_what_is_allowed_and_changes_nothing(
    arguments, error, base, tmp_path, tapeline
):
    before = (base.parent / "models.config").read_bytes()

    done = tapeline(*arguments, cwd=tmp_path)

    assert (done.code, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: " + error)
    assert (base.parent / "models.config").read_bytes() == before


@pytest.mark.parametrize("command", ["versions", "rollback", "predict"])
@pytest.mark.parametrize("text", ["model_config_list {", "custom_model_config { }"])
def test_command_when_models_config_is_broken_then_names_the_file(
    command, text, base, tmp_path, tapeline
):
    (base.parent / "models.config").write_text(text)
    arguments = ["--sample", "1"] if command == "predict" else []

    done = tapeline(command, str(base), *arguments, cwd=tmp_path)

    assert done.code == 2
    assert done.stderr.startswith(f"error: {base.parent / 'models.config'}: (file): found ")
    assert done.stderr.count("\n") == 1


def test_predict_when_the_newest_version_was_rolled_back_then_asks_the_one_that_is_served(
    base, tmp_path, tapeline
):
    tapeline("rollback", str(base), cwd=tmp_path)
    served = read_served(base.parent, "digits")
    assert served is not None
    assert served.default == 2

    done = tapeline("predict", str(base), "--sample", "1", cwd=tmp_path)

    assert done.stderr.startswith(f"error: {base}/2: --sample: found data {{}}")


@pytest.mark.parametrize("command", ["versions", "rollback", "promote"])
def test_help_when_asked_then_teaches_with_an_example(command, tmp_path, tapeline):
    done = tapeline(command, "--help", cwd=tmp_path)

    assert f"Example: tapeline {command} configs/digits.yaml" in done.stdout


def test_versions_page_when_followed_word_for_word_then_every_command_works(
    push, tmp_path, write_config, typed, repository
):
    page = (repository / "docs" / "versions.md").read_text()
    (block,) = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    shown = int(re.findall(r"promote \S+ (\d+)", block)[0])
    (tmp_path / "configs").mkdir()
    write_config(name="configs/digits.yaml")
    root = tmp_path / "runs" / "digits" / "serving"
    for version in (shown - 1, shown):
        push(root, version)

    for line in block.splitlines():
        done = typed(line, tmp_path)
        assert done.code == 0, f"{line}\n{done}"
        assert done.stdout

    served = read_served(root, "digits")
    assert served is not None
    assert served.labels == {"stable": shown - 1, "canary": shown}
    for path in (root / "digits" / str(shown) / "batching_params.pbtxt", *root.iterdir()):
        assert path.name in page, "the page shows what is there"
