"""Pushed models as TF Lite files: what they answer, how large they are, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest


def variants(done) -> dict:
    return {item["variant"]: item for item in json.loads(done.stdout)["variants"]}


def test_digits_when_exported_then_every_variant_is_small_and_right_enough(digits_lite, digits_run):
    assert digits_lite.code == 0, digits_lite
    report, found = json.loads(digits_lite.stdout), variants(digits_lite)
    assert {item["refusal"] for item in found.values()} == {None}
    assert found["dynamic_range"]["ratio"] <= 0.3
    assert found["int8"]["ratio"] <= 0.3
    assert found["int8"]["comparison"]["agreement"]["class_id"] >= 0.97
    assert max(found["float32"]["comparison"]["difference"].values()) <= 1e-5
    # The metrics are the Evaluator's, of the same test split.
    expected = {
        name: pytest.approx(v, abs=1e-5) for name, v in digits_run.summary["metrics"].items()
    }
    assert report["setting"]["metrics"] == expected
    assert report["setting"]["test_rows"] == digits_run.summary["rows"]["test"]
    assert digits_lite.stderr == ""


def test_float32_on_200_raw_examples_answers_as_the_served_version_within_1e_5(
    digits_lite, digits_run
):
    from serving.lite.examples import read_examples, transform
    from serving.lite.interpreter import LiteModel
    from serving.session import SavedModelSession

    session = SavedModelSession(Path(digits_run.summary["servable"]))
    run = Path(digits_run.summary["run_dir"]).parents[1]
    examples = read_examples(list(run.glob("artifacts/ExampleGen/examples/*/Split-test/*")), 200)
    assert len(examples) == 200
    expected = session.run("serving_default", {"examples": np.array(examples, object)})
    file = Path(json.loads(digits_lite.stdout)["folder"], "float32.tflite")
    found = LiteModel(file.read_bytes()).run({"image": transform(session, examples)["image"]})
    assert set(found) == set(expected) - {"label"}
    for name, value in found.items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-5, atol=1e-5)


def test_version_when_a_required_variant_is_out_of_tolerance_then_is_refused_in_figures(
    digits_run, tapeline, tmp_path
):
    done = tapeline(
        "tflite", digits_run.summary["servable"], "--variants", "float32,int8", "--out", "lite",
        "--set", "lite={required: [int8], tolerances: {int8: {error: 0.000001}}}",
        cwd=tmp_path,
    )  # fmt: skip
    assert done.code == 4, done
    assert "int8 refused: error of attribute 0.0" in done.stdout
    table = {line.split()[0]: line.split()[-1] for line in done.stdout.splitlines()[:4]}
    assert (table["float32"], table["int8"]) == ("accepted", "refused")
    names = {path.name for path in (tmp_path / "lite").iterdir()}
    assert names == {"float32.tflite", "lite.json", "conversion.log"}


@pytest.mark.slow
def test_cifar10s_network_when_run_with_lite_then_the_variants_hold(tapeline, repository, tmp_path):
    """The network at its full size, on pictures that it learns in a few epochs."""
    import tensorflow as tf

    random = np.random.default_rng(0)
    templates = random.integers(40, 216, (10, 32, 32, 3))
    for split, count in (("train", 1500), ("test", 500)):
        for number in range(count):
            noisy = templates[number % 10] + random.normal(0, 60, (32, 32, 3))
            place = tmp_path / "pictures" / split / f"kind{number % 10}"
            place.mkdir(parents=True, exist_ok=True)
            content = tf.io.encode_png(np.clip(noisy, 0, 255).astype(np.uint8)).numpy()
            (place / f"{number}.png").write_bytes(content)
    classes = f"[{', '.join(f'kind{number}' for number in range(10))}]"
    done = tapeline(
        "run", str(repository / "configs" / "cifar10.yaml"), "--json",
        "--set", f"data.path={tmp_path / 'pictures'}",
        "--set", f"task.options.classes={classes}",
        "--set", "train.epochs=4", "--set", "train.input={}",
        "--set", "evaluate.metrics=[{name: accuracy, head: class, at_least: 0.9}]",
        "--set", "lite={}",
        cwd=tmp_path,
    )  # fmt: skip
    assert done.code == 0, done
    assert "TFLiteExport" in {node["name"] for node in done.summary["nodes"]}
    found = done.summary["lite"]["variants"]
    assert {item["refusal"] for item in found.values()} == {None}
    assert found["dynamic_range"]["ratio"] <= 0.3
    assert found["int8"]["ratio"] <= 0.3
    assert found["int8"]["comparison"]["agreement"]["class_id"] >= 0.97
    assert (
        Path(done.summary["lite"]["folder"], "int8.tflite").stat().st_size
        == (found["int8"]["size"])
    )
    assert "tflite     float32" in done.stderr
