"""The same data twice, from nothing, in two processes: the same weights, and good ones.

Digits' second run from nothing is the one that `test_resume` kills and continues.
"""

from __future__ import annotations

import pytest


def test_breast_cancer_from_nothing_twice_meets_its_mark_with_the_same_bits(
    breast_cancer_run, checkout_run, serving_weights, assert_same_bits
):
    """The second time by a copy of the code, in another folder."""
    runs = [breast_cancer_run, checkout_run]
    for run in runs:
        assert run.code == 0, run
        assert {node["state"] for node in run.summary["nodes"]} == {"done"}
        assert run.summary["metrics"]["diagnosis/auc"] >= 0.98
        assert sum(run.summary["rows"].values()) == 569
    first, second = (serving_weights(run.summary["servable"]) for run in runs)
    assert_same_bits(first, second)


@pytest.mark.slow
@pytest.mark.parametrize("config", ["digits", "breast_cancer"])
@pytest.mark.parametrize("seed", [1, 2])
def test_other_seeds_meet_the_marks_too(config, seed, repository, tapeline, tmp_path):
    done = tapeline(
        "run", str(repository / "configs" / f"{config}.yaml"), "--json",
        "--set", f"train.seed={seed}", "--set", f"root={tmp_path}",
        cwd=tmp_path,
    )  # fmt: skip
    assert done.code == 0, done
    marks = {
        "digits": {"class/accuracy": 0.97, "attribute/r2": 0.9},
        "breast_cancer": {"diagnosis/auc": 0.98},
    }
    for name, mark in marks[config].items():
        assert done.summary["metrics"][name] >= mark
