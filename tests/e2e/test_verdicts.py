"""What the Evaluator refuses does not reach the serving directory, and the reason is in figures."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def serving_root(digits_run) -> Path:
    return Path(digits_run.summary["servable"]).parent.parent


def test_threshold_out_of_reach_refuses_and_leaves_the_serving_directory_alone(
    digits_run, workdir, tapeline, contents, serving_root
):
    before = contents(serving_root)
    done = tapeline(
        "run", "configs/digits.yaml", "--json", "--set", "evaluate.metrics.0.at_least=0.9999",
        cwd=workdir,
    )  # fmt: skip
    accuracy = digits_run.summary["metrics"]["class/accuracy"]
    assert done.code == 4, done
    assert done.summary["status"] == "not_blessed"
    assert done.summary["servable"] is None
    assert done.summary["blessing"]["reason"] == (f"class/accuracy {accuracy:.4f} is not >= 0.9999")
    assert f"class/accuracy {accuracy:.4f} is not >= 0.9999" in done.stderr
    assert contents(serving_root) == before


def test_worse_model_than_the_blessed_one_is_refused_with_both_figures(
    digits_run, workdir, tapeline, contents, serving_root
):
    before = contents(serving_root)
    done = tapeline(
        "run", "configs/digits.yaml", "--json",
        "--set", "train.epochs=4",
        "--set", "evaluate.metrics.0.at_least=0.5",
        "--set", "evaluate.metrics.0.slice_at_least=null",
        "--set", "evaluate.metrics.1.at_least=0.1",
        cwd=workdir,
    )  # fmt: skip
    assert done.code == 4, done
    blessing = done.summary["blessing"]
    for name in ("class/accuracy", "attribute/r2"):
        worse, better = done.summary["metrics"][name], digits_run.summary["metrics"][name]
        assert worse < better
        assert f"{name} {worse:.4f} against {better:.4f} of the last blessed" in blessing["reason"]
    assert blessing["baseline"] == pytest.approx(digits_run.summary["metrics"])
    assert contents(serving_root) == before


def test_slice_below_its_mark_refuses_and_names_the_slice(digits_run, workdir, tapeline):
    slices = digits_run.summary["slices"]
    worst = min(slices, key=lambda name: slices[name]["class/accuracy"])
    assert slices[worst]["class/accuracy"] < 1, "a model without errors has no worst slice"
    done = tapeline(
        "run", "configs/digits.yaml", "--json",
        "--set", "evaluate.metrics.0.slice_at_least=0.9999",
        cwd=workdir,
    )  # fmt: skip
    assert done.code == 4, done
    assert f"class/accuracy of the worst slice, {worst}," in done.summary["blessing"]["reason"]
