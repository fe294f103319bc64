"""Three spans that nobody ran when they came: oldest first, each beginning with the one before."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests import trips
from tests.trips import write_trips

pytestmark = pytest.mark.slow

CONFIG = (
    trips.CONFIG.replace("PATH", "spans/{SPAN}/trips.csv")
    + """\
train: {epochs: 2, batch_size: 32, warm_start: true, optimizer: {learning_rate: 0.05}}
monitor: {prometheus: trips.prom}
"""
)
SPANS = [1, 2, 4]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("backfill")
    (folder / "trips.yaml").write_text(CONFIG)
    for span in SPANS:
        write_trips(folder / "spans" / str(span), seed=span)
    return folder


@pytest.fixture(scope="module")
def filled(folder: Path, tapeline):
    """The three runs."""
    return tapeline("backfill", "trips.yaml", "--from", "1", "--to", "9", "--json", cwd=folder)


@pytest.fixture
def runs(filled) -> list[dict]:
    assert filled.code == 0, filled
    return [json.loads(line) for line in filled.stdout.splitlines()]


def lineage(folder: Path, tapeline, run) -> dict:
    done = tapeline("lineage", run["summary"]["servable"], "--json", cwd=folder)
    assert done.code == 0, done
    return json.loads(done.stdout)


def test_spans_ran_oldest_first_each_to_a_decision(runs):
    assert [run["span"] for run in runs] == SPANS
    assert [run["exit"] for run in runs] == [0, 0, 0]
    ids = [run["summary"]["run_id"] for run in runs]
    assert ids == sorted(set(ids))


def test_each_version_is_of_its_span_and_began_with_the_one_before(runs, folder, tapeline):
    found = [lineage(folder, tapeline, run) for run in runs]
    assert [one["data"]["span"] for one in found] == SPANS
    before = [one["training"]["warm_start"] for one in found]
    assert before[0] is None
    assert [one["version"] for one in before[1:]] == [one["version"] for one in found[:-1]]
    assert found[1]["gate"]["compared_with"]["span"] == 1


def test_each_version_names_the_file_of_its_rows_with_its_hash(runs, folder, tapeline):
    for run in runs:
        path = folder / "spans" / str(run["span"]) / "trips.csv"
        (source,) = lineage(folder, tapeline, run)["data"]["sources"]
        assert source["name"] == str(path)
        assert source["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert source["bytes"] == path.stat().st_size


def test_second_backfill_takes_all_from_the_cache(runs, folder, tapeline):
    again = tapeline("backfill", "trips.yaml", "--from", "4", "--to", "4", "--json", cwd=folder)
    (run,) = [json.loads(line) for line in again.stdout.splitlines()]
    states = {node["name"]: node["state"] for node in run["summary"]["nodes"]}
    assert states["ExampleGen"] == "cached", again
    why = tapeline("explain-cache", "--json", cwd=folder).stdout.splitlines()
    assert {json.loads(line)["node"] for line in why} >= {"ExampleGen", "Trainer"}
    samples = {
        sample.name: sample.value
        for family in text_string_to_metric_families((folder / "trips.prom").read_text())
        for sample in family.samples
    }
    assert samples["tapeline_blessed"] == 1
