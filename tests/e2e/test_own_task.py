"""A task of the user's own, from the page in docs/, and what a run says when its code fails."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

_MODEL = "        image = keras.Input("
_MISTAKE = '        raise RuntimeError("the model has no layers yet")\n'


@pytest.fixture
def own_task(repository, tmp_path) -> Path:
    """The example package, in a folder outside of the repository."""
    shutil.copytree(repository / "examples", tmp_path / "examples")
    return tmp_path / "examples"


def test_own_task_page_shows_the_example_word_for_word(repository):
    page = (repository / "docs" / "own_task.md").read_text()
    blocks = dict(re.findall(r"```(?:python|yaml)\n# (\S+)\n(.*?)```", page, re.DOTALL))
    assert set(blocks) == {
        "parity/task.py",
        "parity/features.py",
        "parity/watch.py",
        "parity.yaml",
    }
    for name, text in blocks.items():
        assert text == (repository / "examples" / name).read_text(), name
    assert "    cd examples\n    tapeline run parity.yaml\n" in page


def test_own_task_of_the_page_that_fails_says_why_and_once_mended_goes_on_to_a_pushed_model(
    own_task, tapeline
):
    code = own_task / "parity" / "task.py"
    text = code.read_text()
    assert _MODEL in text
    code.write_text(text.replace(_MODEL, _MISTAKE + _MODEL))
    arguments = ["run", "parity.yaml", "--json", "--set", "serve.keep_versions=2"]

    failed = tapeline(*arguments, cwd=own_task)

    assert failed.code == 1, failed
    summary = failed.summary
    assert summary["status"] == "failed"
    assert summary["error"] == {
        "node": "Trainer",
        "cause": "RuntimeError: the model has no layers yet",
    }
    assert summary["nodes"][-1]["name"] == "Trainer"
    assert summary["nodes"][-1]["state"] == "failed"
    assert "Trainer: RuntimeError: the model has no layers yet" in failed.stderr
    assert f"{summary['run_dir']}/run.log" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert not (own_task / "runs/parity/serving").exists()
    (go_on,) = [line for line in failed.stderr.splitlines() if line.startswith("go on")]
    assert "run parity.yaml" in go_on
    assert "--set serve.keep_versions=2" in go_on

    code.write_text(text)
    mended = tapeline("run", "parity.yaml", "--json", cwd=own_task)

    assert mended.code == 0, mended
    assert mended.summary["status"] == "pushed"
    assert mended.summary["metrics"]["digit/accuracy"] >= 0.9
    states = {node["name"]: node["state"] for node in mended.summary["nodes"]}
    assert states["Transform"] == "cached"
    assert states["Trainer"] == "done"
    (hardest,) = (own_task / "runs/parity/checkpoints").glob("*/hardest.json")
    assert json.loads(hardest.read_text())["epoch"] >= 1
