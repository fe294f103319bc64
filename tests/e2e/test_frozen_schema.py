"""A schema that was frozen for review is what later data are held to."""

from __future__ import annotations

import json


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
