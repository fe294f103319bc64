"""A task of the user's own, by a dotted path, and what a run says when its code fails."""

from __future__ import annotations

import textwrap

BROKEN = '''
"""A task of one's own: the digits task with another rate of dropout, and a mistake."""
from trainer_module.tasks.digits import Digits

class Mine(Digits):
    def build_model(self, feature_spec):
        raise RuntimeError("the model has no layers yet")
'''


def test_own_task_that_fails_names_node_cause_log_and_the_command_that_goes_on(
    repository, tapeline, tmp_path, contents
):
    (tmp_path / "mine.py").write_text(textwrap.dedent(BROKEN))
    arguments = [
        "run", str(repository / "configs" / "digits.yaml"), "--json",
        "--set", "task.name=mine.Mine", "--set", "train.epochs=2",
        "--set", "evaluate.metrics=[{name: accuracy, head: class, at_least: 0.0}]",
    ]  # fmt: skip
    failed = tapeline(*arguments, cwd=tmp_path)
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
    assert not (tmp_path / "runs/digits/serving").exists()
    (go_on,) = [line for line in failed.stderr.splitlines() if line.startswith("go on")]
    assert "--set task.name=mine.Mine" in go_on

    working = BROKEN.replace(
        'raise RuntimeError("the model has no layers yet")',
        "return super().build_model(feature_spec)",
    )
    (tmp_path / "mine.py").write_text(textwrap.dedent(working))
    mended = tapeline(*arguments, cwd=tmp_path)
    assert mended.code == 0, mended
    states = {node["name"]: node["state"] for node in mended.summary["nodes"]}
    assert states["Transform"] == "cached"
    assert states["Trainer"] == "done"
