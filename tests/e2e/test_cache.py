"""A change of code reruns what runs that code and what follows, and nothing else."""

from __future__ import annotations

from pathlib import Path

# What the edits do to the model is not the question.
_ANY_MODEL = [
    "--set", "evaluate.metrics=[{name: auc, head: diagnosis, at_least: 0.0}]",
    "--set", "evaluate.slices=[]",
]  # fmt: skip


def _edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text, f"{path} has changed: this test edits {old!r}"
    path.write_text(text.replace(old, new, 1))


def test_only_what_runs_the_changed_code_and_what_follows_runs_again(
    checkout, checkout_run, run_in_checkout
):
    """One test, since each edit is measured against the run before it."""

    def ran() -> set[str]:
        done = run_in_checkout(*_ANY_MODEL)
        assert done.code == 0, done
        return {n["name"] for n in done.summary["nodes"] if n["state"] != "cached"}

    assert {node["state"] for node in checkout_run.summary["nodes"]} == {"done"}, checkout_run
    tasks = checkout / "trainer_module" / "tasks"

    task = tasks / "breast_cancer" / "task.py"
    _edit(task, 'activation="relu"', 'activation="elu"')
    assert ran() == {"Trainer", "Evaluator", "Pusher"}

    features = tasks / "breast_cancer" / "features.py"
    _edit(features, "MEASUREMENTS: z_score(", "MEASUREMENTS: 2.0 * z_score(")
    assert ran() == {"Transform", "Trainer", "Evaluator", "Pusher"}

    other = tasks / "digits" / "model.py"
    _edit(other, 'layers.MaxPooling2D(name="pool")', 'layers.AveragePooling2D(name="pool")')
    assert ran() == set()
