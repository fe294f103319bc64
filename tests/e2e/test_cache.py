"""A change of code reruns what runs that code and what follows, and nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

_QUICK = [
    "--set", "train.epochs=2",
    "--set", "evaluate.metrics=[{name: accuracy, head: class, at_least: 0.0}]",
    "--set", "evaluate.slices=[]",
]  # fmt: skip


@pytest.fixture(scope="module")
def checkout(tmp_path_factory, repository) -> Path:
    """A copy of the code, for a test to edit."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("pipeline", "components", "trainer_module", "serving", "configs"):
        shutil.copytree(
            repository / name, folder / name, ignore=shutil.ignore_patterns("__pycache__")
        )
    return folder


def _edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text, f"{path} has changed: this test edits {old!r}"
    path.write_text(text.replace(old, new, 1))


def test_only_what_runs_the_changed_code_and_what_follows_runs_again(checkout, tapeline):
    """One test, since each edit is measured against the run before it."""

    def ran() -> set[str]:
        done = tapeline(
            "run", "configs/digits.yaml", "--json", *_QUICK,
            cwd=checkout, env={"PYTHONPATH": str(checkout)},
        )  # fmt: skip
        assert done.code == 0, done
        return {n["name"] for n in done.summary["nodes"] if n["state"] != "cached"}

    tasks = checkout / "trainer_module" / "tasks"
    assert "Trainer" in ran()

    model = tasks / "digits" / "model.py"
    _edit(model, 'layers.MaxPooling2D(name="pool")', 'layers.AveragePooling2D(name="pool")')
    assert ran() == {"Trainer", "Evaluator", "Pusher"}

    features = tasks / "digits" / "features.py"
    _edit(features, "return tf.reduce_mean(image", "return 2.0 * tf.reduce_mean(image")
    assert ran() == {"Transform", "Trainer", "Evaluator", "Pusher"}

    other = tasks / "breast_cancer" / "task.py"
    _edit(other, "HEAD = ", "# A comment in another task.\nHEAD = ")
    assert ran() == set()
