"""Data that are not as the ones before stop at the gate, unless someone takes them as they are."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

# Quick, and refused: the last blessed model stays the one that other tests look at.
_REFUSED = [
    "--fast-dev-run",
    "--set", "evaluate.metrics=[{name: auc, head: diagnosis, at_least: 1.0}]",
    "--set", "evaluate.slices=[]",
]  # fmt: skip


@pytest.fixture(scope="module")
def run_drifted(tmp_path_factory, repository, breast_cancer_run, breast_cancer_workdir, tapeline):
    """Runs `tapeline` where the ready job ran before, on data in which a measurement has shifted.

    The bundled data are what their source reads: a copy of it reads them shifted.
    """
    assert breast_cancer_run.code == 0, breast_cancer_run
    folder = tmp_path_factory.mktemp("drifted")
    for name in ("pipeline", "components", "trainer_module", "serving"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(repository / name, folder / name, ignore=ignored)
    source = folder / "components" / "example_gen" / "sklearn_source.py"
    old = "yield Row(SPLITS, features)"
    new = 'yield Row(SPLITS, {**features, "mean_radius": features["mean_radius"] + 10.0})'
    text = source.read_text()
    assert old in text, f"{source} has changed: this test edits {old!r}"
    source.write_text(text.replace(old, new))

    def run(*arguments: str):
        return tapeline(*arguments, cwd=breast_cancer_workdir, env={"PYTHONPATH": str(folder)})

    return run


@pytest.fixture(scope="module")
def stopped(run_drifted, breast_cancer_workdir, contents):
    """A run of shifted data, and what the serving directory held before and after."""
    serving = breast_cancer_workdir / "runs" / "breast_cancer" / "serving"
    before = contents(serving)
    done = run_drifted("run", "configs/breast_cancer.yaml", "--json")
    return done, before, contents(serving)


def test_run_when_a_feature_has_shifted_then_exits_3_and_trains_and_pushes_nothing(stopped):
    done, before, after = stopped
    assert done.code == 3, done
    assert done.summary["status"] == "anomalies"
    assert [(node["name"], node["state"]) for node in done.summary["nodes"]][-1] == (
        "AnomalyGate",
        "stopped",
    )
    assert not {"Transform", "Trainer", "Pusher"} & {n["name"] for n in done.summary["nodes"]}
    assert before
    assert after == before


def test_run_when_stopped_then_names_feature_rule_expected_and_found_and_how_to_go_on(stopped):
    done, _, _ = stopped
    (line,) = [line for line in done.stderr.splitlines() if " mean_radius " in line]
    assert line.split()[:6] == [
        *("stop", "mean_radius", "drift", "jensen_shannon_divergence", "<="),
        line.split()[5],
    ]
    assert 0.1 < float(line.split()[5]) < 0.2 < float(line.split()[6]) <= 1
    assert "--accept-anomalies 'WHY'" in done.stderr
    assert "schema freeze configs/breast_cancer.yaml" in done.stderr
    found = json.loads(Path(done.summary["run_dir"], "anomalies.json").read_text())
    assert found == done.summary["anomalies"]


def test_run_when_stopped_then_the_failed_execution_says_why_in_the_metadata(
    stopped, breast_cancer_workdir
):
    from ml_metadata.metadata_store import metadata_store
    from tfx.orchestration import metadata

    done, _, _ = stopped
    path = breast_cancer_workdir / "runs" / "breast_cancer" / "metadata.sqlite"
    store = metadata_store.MetadataStore(metadata.sqlite_metadata_connection_config(str(path)))
    context = store.get_context_by_type_and_name("pipeline_run", done.summary["run_id"])
    (verdict,) = [
        execution.custom_properties["verdict"].string_value
        for execution in store.get_executions_by_context(context.id)
        if "verdict" in execution.custom_properties
    ]
    assert json.loads(verdict) == done.summary["anomalies"]


def test_run_when_accepted_then_goes_on_and_says_who_took_the_data_and_why(
    stopped, run_drifted, breast_cancer_workdir, contents
):
    _, before, _ = stopped
    arguments = ["run", "configs/breast_cancer.yaml", "--json", *_REFUSED]
    done = run_drifted(*arguments, "--accept-anomalies", "a new microscope")

    assert done.code == 4, done
    acceptance = done.summary["anomalies"]["acceptance"]
    assert acceptance["why"] == "a new microscope"
    assert acceptance["run_id"] == done.summary["run_id"]
    states = {node["name"]: node["state"] for node in done.summary["nodes"]}
    assert states["StatisticsGen"] == "cached"
    assert states["AnomalyGate"] == states["Trainer"] == "done"
    listed = run_drifted("runs").stdout.splitlines()[-1]
    assert done.summary["run_id"] in listed
    assert listed.endswith(f"anomalies accepted by {acceptance['by']}: a new microscope")

    again = run_drifted("check", "configs/breast_cancer.yaml", "--json")
    assert again.code == 0, again
    assert {node["state"] for node in again.summary["nodes"]} == {"cached"}
    assert again.summary["anomalies"]["acceptance"] == acceptance
    serving = breast_cancer_workdir / "runs" / "breast_cancer" / "serving"
    assert contents(serving) == before


def test_schema_when_frozen_is_what_the_data_are_held_to_from_then_on(
    breast_cancer_run, breast_cancer_workdir, tapeline, tmp_path
):
    config, path = "configs/breast_cancer.yaml", tmp_path / "reviewed.pbtxt"

    def ask(*arguments: str):
        reviewed = ("--set", f"schema.path={path}", "--json")
        return tapeline(*arguments, *reviewed, cwd=breast_cancer_workdir)

    run_id = breast_cancer_run.summary["run_id"]
    frozen = tapeline("schema", "freeze", config, "-o", str(path), cwd=breast_cancer_workdir)
    assert frozen.code == 0, frozen
    assert f"schema: {{path: {path}}}" in frozen.stdout
    text = path.read_text()
    assert text.startswith("# Schema of breast_cancer, inferred from the data of run ")
    assert text.index('"mean_radius"') < text.index('"worst_area"') < text.index('"diagnosis"')
    assert text.count('not_in_environment: "SERVING"') == 1

    same = ask("schema", "diff", config, "--data-run", run_id)
    assert (same.code, json.loads(same.stdout)["changes"]) == (0, []), same

    good = ask("check", config)
    assert good.code == 0, good
    states = {node["name"]: node["state"] for node in good.summary["nodes"]}
    assert states["StatisticsGen"] == "cached"
    assert states["SchemaGen"] == states["AnomalyGate"] == "done"

    feature = 'name: "mean_radius"\n  type: FLOAT'
    assert feature in text
    path.write_text(text.replace(feature, 'name: "mean_radius"\n  type: INT'))
    other = ask("schema", "diff", config, "--data-run", run_id)
    change = {"feature": "mean_radius", "what": "type", "frozen": "INT", "data": "FLOAT"}
    assert (other.code, json.loads(other.stdout)["changes"]) == (1, [change]), other

    bad = ask("check", config)
    assert bad.code == 3, bad
    (found,) = bad.summary["anomalies"]["findings"]
    assert (found["feature"], found["rule"], found["against"]) == (
        *("mean_radius", "type_changed", "schema file"),
    )
