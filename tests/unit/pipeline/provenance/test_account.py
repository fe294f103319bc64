"""What made a version: from the push up to the files that the rows came from."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from components.artifact_types import GATE_VERDICT
from pipeline.config_file import ConfigError
from pipeline.metadata.errors import MetadataError
from pipeline.provenance.account import account
from pipeline.provenance.records import open_records
from pipeline.provenance.tree import tree
from pipeline.provenance.version import find_version

SOURCES = [
    {
        "kind": "file",
        "name": "/data/1.csv",
        "files": 1,
        "bytes": 2048,
        "sha256": "5a" * 32,
        "span": 3,
        "version": "",
    }
]
QUERY = {
    "data": {"source": "csv", "path": "/data/{SPAN}.csv", "span": 3},
    "fingerprint": "f1",
    "code": "4ead",
}
CARD = {
    "metrics": {"class/accuracy": 0.98},
    "baseline": {"class/accuracy": 0.97},
    "slices": {},
    "thresholds": [{"check": "class/accuracy 0.9800 >= 0.96", "passed": True}],
    "rows": {"train": 70, "eval": 15, "test": 15},
    "schema_sha256": "5c" * 32,
    "libraries": {"tensorflow": "2.16.2"},
}
TRAINED = {
    "custom_config": {
        "code": "7ea1",
        "label": "digit",
        "task": {"name": "digits", "options": {"filters": 8}},
        "train": {"epochs": 7, "batch_size": 64},
    }
}


class History:
    """Two runs: `a` trained and pushed a model, `b` another one of the same data."""

    def __init__(self, books) -> None:
        self.books = books
        earlier = books.artifact("ExampleStatistics", span=2)
        books.ran("0", "StatisticsGen", {}, {"statistics": [earlier]})
        self.examples = books.artifact("Examples", span=3)
        statistics, schema = books.artifact("ExampleStatistics"), books.artifact("Schema")
        graph = books.artifact("TransformGraph")
        self.shared: list[tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]] = [
            (
                "ExampleGen",
                {},
                {"examples": [self.examples]},
                {"input_config": {"splits": [{"name": "single", "pattern": json.dumps(QUERY)}]}},
            ),
            (
                "StatisticsGen",
                {"examples": [self.examples]},
                {"statistics": [statistics]},
                {},
            ),
            ("SchemaGen", {"statistics": [statistics]}, {"schema": [schema]}, {}),
            (
                "AnomalyGate",
                {"statistics": [statistics], "previous_statistics": [earlier]},
                {"verdict": [books.artifact(GATE_VERDICT)]},
                {},
            ),
            (
                "Transform",
                {"examples": [self.examples], "schema": [schema]},
                {"transform_graph": [graph]},
                {"custom_config": {"code": "7a5f", "options": {"scale": 2}}},
            ),
        ]
        self.inputs = {
            "raw_examples": [self.examples],
            "transform_graph": [graph],
            "schema": [schema],
        }
        self.statistics = statistics
        Path(self.books.uri(self.examples), "sources.json").write_text(json.dumps(SOURCES))
        self.first = self.train_and_push("a", "100", "COMPLETE", None)
        self.second = self.train_and_push("b", "200", "CACHED", self.first)

    def train_and_push(self, run: str, version: str, shared: str, baseline: int | None) -> int:
        books = self.books
        for node, inputs, outputs, parameters in self.shared:
            books.ran(run, node, inputs, outputs, key=node, state=shared, **parameters)
        model, evaluation = books.artifact("Model"), books.artifact("ModelEvaluation")
        before = {"base_model": [baseline]} if baseline else {}
        books.ran(run, "Trainer", {**self.inputs, **before}, {"model": [model]}, **TRAINED)
        measured = {"model": [model], **({"baseline_model": [baseline]} if baseline else {})}
        books.ran(run, "Evaluator", measured, {"evaluation": [evaluation]})
        self.push(run, version, model, evaluation)
        self.write_version(version, model, run)
        books.run_folder(run)
        return model

    def push(self, run: str, version: str, model: int, evaluation: int) -> None:
        pushed = self.books.artifact("PushedModel", pushed_version=version)
        inputs = {
            "model": [model],
            "evaluation": [evaluation],
            "statistics": [self.statistics],
        }
        self.books.ran(run, "Pusher", inputs, {"pushed_model": [pushed]})

    def write_version(self, version: str, model: int, run: str) -> None:
        folder = self.books.config.model_folder / version
        (folder / "assets.extra").mkdir(parents=True)
        (folder / "saved_model.pb").touch()
        manifest = {
            "digest": "d1" * 32,
            "model_artifact_id": model,
            "model_uri": self.books.uri(model),
        }
        (folder / "assets.extra" / "tapeline.json").write_text(json.dumps(manifest))
        card = {**CARD, "lineage": {"run_id": run}}
        (folder / "assets.extra" / "model_card.json").write_text(json.dumps(card))


@pytest.fixture
def history(make_books) -> History:
    data = {"source": "csv", "path": "/data/{SPAN}.csv", "label": "digit"}
    return History(make_books({"data": data}))


def told(model: Path, number: int | None = None) -> dict[str, Any]:
    found = find_version(str(model), number, [])
    with open_records(found.config) as records:
        return account(records, found)


def test_account_when_the_data_came_from_the_cache_then_names_the_run_that_read_them(history):
    found = told(history.books.config.model_folder / "200")
    assert (found["pushed"]["run_id"], found["training"]["run_id"]) == ("b", "b")
    data = found["data"]
    assert (data["run_id"], data["node"]) == ("a", "ExampleGen")
    assert (data["sources"], data["span"], data["fingerprint"]) == (SOURCES, 3, "f1")
    assert found["gate"]["compared_with"] == {"run_id": "0", "span": 2}
    assert (data["code"], data["rows"]) == ("4ead", CARD["rows"])


def test_account_when_pushed_then_tells_code_parameters_schema_metrics_and_libraries(history):
    found = told(history.books.config.model_folder, 200)
    assert found["training"]["code"] == "7ea1"
    assert found["training"]["train"] == {"epochs": 7, "batch_size": 64}
    assert found["transform"]["options"] == {"scale": 2}
    assert (found["schema"]["sha256"], found["schema"]["file"]) == ("5c" * 32, None)
    assert found["decision"]["metrics"] == CARD["metrics"]
    assert found["decision"]["thresholds"] == CARD["thresholds"]
    assert found["libraries"] == {"tensorflow": "2.16.2"}


def test_account_when_there_was_a_model_before_then_names_it_and_goes_no_further(history):
    found = told(history.books.config.model_folder, 200)
    before = {"artifact": history.first, "run_id": "a", "version": "100"}
    for other in (found["decision"]["baseline"], found["training"]["warm_start"]):
        assert before.items() <= other.items()
    nodes = [execution["node"] for execution in found["executions"]]
    assert nodes.count("Trainer") == nodes.count("Pusher") == 1
    assert {"ExampleGen", "StatisticsGen", "SchemaGen", "Transform", "Evaluator"} < set(nodes)
    ids = {artifact["id"] for artifact in found["artifacts"]}
    used = {n for one in found["executions"] for key in one["inputs"].values() for n in key}
    assert used <= ids


def test_account_when_a_later_run_found_the_version_in_place_then_names_the_one_that_made_it(
    history,
):
    history.push("c", "200", history.second, history.books.artifact("ModelEvaluation"))
    assert told(history.books.config.model_folder, 200)["pushed"]["run_id"] == "b"


def test_account_when_artifacts_are_gone_then_says_so_and_goes_on(history):
    uri = history.books.uri(history.examples)
    shutil.rmtree(uri)
    found = told(history.books.config.model_folder, 200)
    assert found["gone"] == [uri]
    assert found["data"]["sources"] is None
    lines = list(tree(found).lines())
    assert "    sources unknown: the examples' account is not there" in lines
    assert lines[-1].strip() == uri


def test_version_when_its_run_left_no_folder_then_another_runs_tells_where_the_metadata_are(
    history,
):
    shutil.rmtree(history.books.root / "runs" / "b")
    assert told(history.books.config.model_folder / "200")["pushed"]["run_id"] == "b"
    shutil.rmtree(history.books.root / "runs" / "a")
    with pytest.raises(ConfigError, match="CONFIG and the version's number"):
        told(history.books.config.model_folder / "200")


def test_version_when_there_is_none_of_the_number_then_names_those_there_are(history):
    with pytest.raises(ConfigError, match=r"VERSION: found 7, not in .*; allowed: one of 100, 200"):
        told(history.books.config.model_folder, 7)


def test_version_when_no_run_of_ours_pushed_it_then_says_so(tmp_path):
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "saved_model.pb").touch()
    with pytest.raises(ConfigError, match="without a manifest"):
        told(tmp_path / "1")


def test_metadata_when_missing_or_broken_then_the_file_is_named(history):
    path = history.books.root / "metadata.sqlite"
    path.write_bytes(b"no database, though it is long enough to be one" * 100)
    with pytest.raises(MetadataError, match=f"metadata: found {path}, which is damaged"):
        told(history.books.config.model_folder, 200)
    path.unlink()
    with pytest.raises(ConfigError, match=f"{path}: .*no such file"):
        told(history.books.config.model_folder, 200)
    assert not path.exists(), "looking must not make it"


def test_metadata_when_they_know_no_such_model_then_says_so(history):
    version = history.books.config.model_folder / "200"
    manifest = version / "assets.extra" / "tapeline.json"
    values = json.loads(manifest.read_text())
    root = Path(values["model_uri"]).parents[3]
    values["model_uri"] = str(root / "artifacts" / "Trainer" / "model" / "999")
    manifest.write_text(json.dumps(values))
    with pytest.raises(ConfigError, match=r"metadata that know no model .*/999"):
        told(version)


def test_tree_when_printed_then_has_a_line_for_each_thing_that_made_the_version(history):
    lines = [line.strip() for line in tree(told(history.books.config.model_folder, 200)).lines()]
    for wanted in (
        "class/accuracy 0.9800  (last blessed 0.9700)",
        "passed: class/accuracy 0.9800 >= 0.96",
        "compared with version 100, trained in run a",
        "began with version 100, trained in run a",
        "code 7ea1",
        "epochs 7",
        "filters 8",
        "span 3",
        "rows 70 train, 15 eval, 15 test",
        f"file /data/1.csv, 2048 bytes, sha256 {'5a' * 6}",
        "libraries  tensorflow 2.16.2",
    ):
        assert wanted in lines, wanted
