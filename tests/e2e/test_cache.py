"""A change of code reruns what runs that code and what follows, and nothing else."""

from __future__ import annotations

import json
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
    checkout, checkout_run, run_in_checkout, tapeline
):
    """One test, since each edit is measured against the run before it."""

    def told() -> dict[str, list[str]]:
        """Why each node of the last run ran, as `tapeline explain-cache` has it."""
        done = tapeline("explain-cache", "--json", cwd=checkout)
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        return {one["node"]: [reason["text"] for reason in one["reasons"]] for one in answers}

    def ran() -> set[str]:
        done = run_in_checkout(*_ANY_MODEL)
        assert done.code == 0, done
        return {n["name"] for n in done.summary["nodes"] if n["state"] != "cached"}

    assert {node["state"] for node in checkout_run.summary["nodes"]} == {"done"}, checkout_run
    tasks = checkout / "trainer_module" / "tasks"

    task = tasks / "breast_cancer" / "task.py"
    _edit(task, 'activation="relu"', 'activation="elu"')
    assert ran() == {"Trainer", "Evaluator", "Pusher"}
    why = told()
    assert why["Transform"] == []
    (changed,) = why["Trainer"]
    assert changed.startswith("custom_config.code: the source changed (")
    origin = "input model: Trainer made another, since custom_config.code differs; before, Model"
    assert any(text.startswith(origin) for text in why["Evaluator"]), why
    assert any(text.startswith("eval_config.metrics_specs") for text in why["Evaluator"])

    features = tasks / "breast_cancer" / "features.py"
    _edit(features, "MEASUREMENTS: z_score(", "MEASUREMENTS: 2.0 * z_score(")
    assert ran() == {"Transform", "Trainer", "Evaluator", "Pusher"}
    # The task's module imports the features': the Trainer would have run for its own code alone.
    why = told()
    assert len(why["Transform"]) == 1
    assert "custom_config.code" in why["Transform"][0]
    made = "Transform made another, since custom_config.code differs"
    assert any(f"input transform_graph: {made}" in text for text in why["Trainer"]), why

    other = tasks / "digits" / "model.py"
    _edit(other, 'layers.MaxPooling2D(name="pool")', 'layers.AveragePooling2D(name="pool")')
    assert ran() == set()
