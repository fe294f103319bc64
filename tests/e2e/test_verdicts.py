"""What the Evaluator refuses does not reach the serving directory, and the reason is in figures."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def serving_root(digits_run) -> Path:
    return Path(digits_run.summary["servable"]).parent.parent


def test_marks_out_of_reach_refuse_and_leave_the_serving_directory_alone(
    digits_run, workdir, tapeline, contents, serving_root
):
    before = contents(serving_root)
    done = tapeline(
        "run", "configs/digits.yaml", "--json",
        "--set", "evaluate.metrics.0.at_least=0.9999",
        "--set", "evaluate.metrics.0.slice_at_least=0.9998",
        cwd=workdir,
    )  # fmt: skip
    accuracy = digits_run.summary["metrics"]["class/accuracy"]
    slices = {name: of["class/accuracy"] for name, of in digits_run.summary["slices"].items()}
    worst = min(slices, key=lambda name: slices[name])
    assert slices[worst] < 1, "a model without errors has no worst slice"
    assert done.code == 4, done
    assert done.summary["status"] == "not_blessed"
    assert done.summary["servable"] is None
    reason = (
        f"class/accuracy {accuracy:.4f} is not >= 0.9999; "
        f"class/accuracy of the worst slice, {worst}, {slices[worst]:.4f} is not >= 0.9998"
    )
    assert done.summary["blessing"]["reason"] == reason
    assert reason in done.stderr
    assert contents(serving_root) == before

    # Either mark would have refused it without the other.
    below = {name for name, value in slices.items() if value < 0.9998}
    assert _refused_by_tfma(workdir / "runs" / "digits") == {"all", *below}


def _refused_by_tfma(pipeline_root: Path) -> set[str]:
    """Returns the slices in which the last evaluation found a mark missed, as the summary's."""
    import tensorflow_model_analysis as tfma

    folders = (pipeline_root / "artifacts" / "Evaluator" / "evaluation").iterdir()
    last = max(folders, key=lambda folder: int(folder.name))
    return {
        ",".join(
            f"{key.column}:{key.bytes_value.decode() or key.int64_value}"
            for key in missed.slice_key.single_slice_keys
        )
        or "all"
        for missed in tfma.load_validation_result(str(last)).metric_validations_per_slice
        if missed.failures
    }


@pytest.fixture(scope="module")
def short_run_on_two_replicas(digits_run, workdir, tapeline, contents):
    """A training of four epochs, and the serving directory before it."""
    before = contents(Path(digits_run.summary["servable"]).parent.parent)
    done = tapeline(
        "run", "configs/digits.yaml", "--json",
        "--set", "train.epochs=4",
        "--set", "train.strategy=mirrored",
        "--set", "train.replicas=2",
        "--set", "evaluate.metrics.0.at_least=0.5",
        "--set", "evaluate.metrics.0.slice_at_least=null",
        "--set", "evaluate.metrics.1.at_least=0.1",
        cwd=workdir,
    )  # fmt: skip
    return done, before


def test_worse_model_than_the_blessed_one_is_refused_with_both_figures(
    short_run_on_two_replicas, digits_run, contents, serving_root
):
    done, before = short_run_on_two_replicas
    assert done.code == 4, done
    blessing = done.summary["blessing"]
    for name in ("class/accuracy", "attribute/r2"):
        worse, better = done.summary["metrics"][name], digits_run.summary["metrics"][name]
        assert worse < better
        assert f"{name} {worse:.4f} against {better:.4f} of the last blessed" in blessing["reason"]
    assert blessing["baseline"] == pytest.approx(digits_run.summary["metrics"])
    assert contents(serving_root) == before


def test_run_on_two_replicas_trains_to_the_end_on_the_same_global_batches(
    short_run_on_two_replicas, digits_run
):
    done, _ = short_run_on_two_replicas
    assert {node["state"] for node in done.summary["nodes"]} <= {"done", "cached", "skipped"}, done
    two, one = done.summary["training"], digits_run.summary["training"]
    assert two["epochs"] == 4
    assert two["steps"] / two["epochs"] == one["steps"] / one["epochs"]
