"""The default job: real data in, a validated model out, and everything that is promised of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

NODES = {
    "ExampleGen",
    "StatisticsGen",
    "SchemaGen",
    "ExampleValidator",
    "AnomalyGate",
    "Transform",
    "Trainer",
    "Evaluator",
    "Pusher",
}

SIGNATURES = {
    "serving_default",
    "serving_raw",
    "embedding",
    "transform_features",
    "transformed",
    "classify",
}


def test_run_of_digits_pushes_a_model_that_meets_its_marks(digits_run):
    assert digits_run.code == 0, digits_run
    summary = digits_run.summary
    assert summary["status"] == "pushed"
    assert summary["metrics"]["class/accuracy"] >= 0.97
    assert summary["metrics"]["attribute/r2"] >= 0.9
    assert sum(summary["rows"].values()) == 1797
    assert len(summary["slices"]) == 10
    assert {node["name"] for node in summary["nodes"]} == NODES
    assert {node["state"] for node in summary["nodes"]} == {"done"}


def test_run_when_piped_prints_at_most_60_lines_and_logs_the_rest(digits_run):
    lines = digits_run.stdout.splitlines() + digits_run.stderr.splitlines()
    log = Path(digits_run.summary["run_dir"], "run.log").read_text()
    assert len(lines) <= 60, digits_run
    assert "tapeline.progress" in log
    assert "tensorflow" in log
    assert not any("WARNING" in line or "tensorflow" in line for line in lines), digits_run


def test_run_leaves_its_resolved_configuration_and_summary_in_its_folder(digits_run, workdir):
    from pipeline.config_file import load_config

    folder = Path(digits_run.summary["run_dir"])
    assert load_config(str(folder / "config.yaml")) == load_config(
        str(workdir / "configs" / "digits.yaml")
    )
    assert json.loads((folder / "summary.json").read_text()) == digits_run.summary


def test_serving_directory_holds_the_version_and_the_files_that_tf_serving_starts_with(
    digits_run,
):
    from serving.config import BatchingConfig
    from serving.text_configs import parse_batching

    version = Path(digits_run.summary["servable"])
    root = version.parent.parent
    assert version.name.isdecimal()
    assert (version / "saved_model.pb").is_file()
    assert parse_batching((root / "batching.config").read_text()) == BatchingConfig(
        max_batch_size=64, allowed_batch_sizes=[1, 2, 4, 8, 16, 32, 64]
    )
    assert f'base_path: "{version.parent}"' in (root / "models.config").read_text()
    assert (root / "models.config").read_text().count(f"value: {version.name}") == 1
    assert sorted(path.name for path in root.iterdir()) == [
        "batching.config",
        "digits",
        "digits.history.jsonl",
        "models.config",
        "monitoring.config",
    ]


def test_pushed_version_answers_as_the_trained_model_on_200_raw_rows_by_every_signature(
    digits_run, workdir
):
    from serving.prediction_logs import exchange, read_logs
    from serving.servable_check import check_servable

    (reference,) = (workdir / "runs/digits/artifacts/Trainer/model_run").glob("*/*.tfrecord")
    answers = [exchange(log) for log in read_logs(reference)]
    assert {answer.signature for answer in answers} == SIGNATURES
    for answer in answers:
        for value in [*answer.inputs.values(), *answer.outputs.values()]:
            assert len(value) == 200
    check_servable(Path(digits_run.summary["servable"]), reference, tolerance=1e-5)


def test_pushed_version_holds_warmup_requests_in_every_allowed_batch_size(digits_run):
    from serving.prediction_logs import exchange, read_logs
    from serving.warmup import WARMUP_FILE

    requests = [
        exchange(log) for log in read_logs(Path(digits_run.summary["servable"], WARMUP_FILE))
    ]
    sizes = {signature: [] for signature in SIGNATURES}
    for request in requests:
        (rows,) = {len(value) for value in request.inputs.values()}
        sizes[request.signature].append(rows)
    assert sizes == {signature: [1, 2, 4, 8, 16, 32, 64] for signature in SIGNATURES}
    methods = {request.signature: request.method for request in requests if request.method}
    assert methods == {"classify": "tensorflow/serving/classify"}


def test_pushed_version_holds_a_card_that_says_what_it_is_and_how_well_it_does(digits_run):
    from serving.versions import read_manifest

    version, summary = Path(digits_run.summary["servable"]), digits_run.summary
    card = json.loads((version / "assets.extra" / "model_card.json").read_text())
    assert (card["name"], card["task"]["name"]) == ("digits", "digits")
    assert card["digest"] == read_manifest(version)["digest"]
    for name in ("metrics", "slices", "rows"):
        assert card[name] == summary[name]
    assert card["baseline"] is None
    assert all(threshold["passed"] for threshold in card["thresholds"])
    assert "; ".join(t["check"] for t in card["thresholds"]) == summary["blessing"]["reason"]
    assert card["signatures"].keys() == SIGNATURES
    lineage = card["lineage"]
    assert lineage["run_id"] == summary["run_id"]
    assert lineage["artifacts"]["model"]["id"] == read_manifest(version)["model_artifact_id"]
    assert lineage["artifacts"].keys() >= {"evaluation", "model_run", "schema", "statistics"}
    markdown = (version / "assets.extra" / "model_card.md").read_text()
    assert f"| class/accuracy | {card['metrics']['class/accuracy']:.4f} |" in markdown


def test_run_again_takes_everything_from_the_cache(digits_run, digits_again):
    assert digits_again.code == 0, digits_again
    assert digits_again.summary["status"] == "cached"
    assert {node["state"] for node in digits_again.summary["nodes"]} == {"cached"}
    assert digits_again.summary["servable"] == digits_run.summary["servable"]
    assert digits_again.summary["metrics"] == digits_run.summary["metrics"]


def test_run_again_when_the_version_is_gone_pushes_it_again(
    digits_run, workdir, tapeline, tmp_path
):
    # Into another serving root, so that other tests find theirs as it was.
    arguments = ["run", "configs/digits.yaml", "--json", "--set", f"serve.root={tmp_path}/models"]
    first = tapeline(*arguments, cwd=workdir).summary
    assert first["status"] == "pushed"
    shutil.rmtree(tmp_path / "models")
    again = tapeline(*arguments, cwd=workdir).summary
    assert again["status"] == "pushed"
    assert Path(again["servable"], "saved_model.pb").is_file()
    states = {node["name"]: node["state"] for node in again["nodes"]}
    assert [name for name, state in states.items() if state != "cached"] == ["Pusher"]


def test_predict_answers_raw_rows_in_json_and_csv_alike(digits_run, workdir, tapeline):
    from components.example_gen.sklearn_source import load_columns

    images = load_columns("digits", 3)["image"].tolist()
    as_json = "\n".join(json.dumps({"image": image}) for image in images)
    as_csv = "image\n" + "\n".join(f'"{json.dumps(image)}"' for image in images)
    answers = [
        tapeline("predict", "configs/digits.yaml", "-", cwd=workdir, stdin=text)
        for text in (as_json, as_csv)
    ]
    sample = tapeline("predict", "configs/digits.yaml", "--sample", "3", cwd=workdir)
    assert answers[0].code == 0, answers[0]
    assert answers[0].stdout == answers[1].stdout == sample.stdout
    rows = [json.loads(line) for line in sample.stdout.splitlines()]
    assert [row["label"] for row in rows] == ["0", "1", "2"]
    assert [row["class_id"] for row in rows] == [0, 1, 2]
    assert all(len(row["probabilities"]) == 10 and len(row["attribute"]) == 2 for row in rows)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ('{"image": [1, 2]}', "row 1: image: found shape [2]; allowed: float32 of shape [64]"),
        ('{"picture": [1]}', "row 1: fields: found no image; allowed: rows with image"),
    ],
)
def test_predict_when_a_row_does_not_fit_says_what_is_allowed(
    digits_run, workdir, tapeline, row, message
):
    done = tapeline("predict", "configs/digits.yaml", "-", cwd=workdir, stdin=row)
    assert done.code == 2
    assert message in done.stderr
    assert done.stdout == ""


def test_runs_lists_how_each_run_ended(digits_run, workdir, tapeline):
    listed = tapeline("runs", "--json", cwd=workdir)
    first = json.loads(listed.stdout.splitlines()[0])
    assert first["run_id"] == digits_run.summary["run_id"]
    assert first["status"] == "pushed"
    assert first["metrics"] == digits_run.summary["metrics"]
    assert digits_run.summary["run_id"] in tapeline("runs", cwd=workdir).stdout
