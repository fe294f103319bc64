"""The page on operating pipelines, followed word for word in the folder of the shared run."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from pipeline.events import read_events
from pipeline.monitor.prometheus import HELP


@pytest.fixture(scope="module")
def page(repository: Path) -> str:
    return (repository / "docs" / "operations.md").read_text()


def commands(page: str) -> list[list[str]]:
    blocks = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    return [shlex.split(line)[1:] for block in blocks for line in block.splitlines()]


def test_commands_that_only_look_all_work(page, digits_run, workdir, tapeline):
    """What runs spans is run by `test_backfill.py`."""
    looking = [words for words in commands(page) if "trips.yaml" not in words]
    assert len(looking) >= 8
    for words in looking:
        done = tapeline(*words, cwd=workdir)
        assert done.code == 0, f"{words}\n{done}"
        assert done.stdout.strip(), words


def test_backfill_when_dry_lists_the_spans(page, tapeline, tmp_path):
    (words,) = [words for words in commands(page) if "--dry-run" in words]
    (tmp_path / "2026-01-05.csv").write_text("a,label\n1,0\n")
    (tmp_path / "trips.yaml").write_text(
        "{name: trips, task: {name: tabular}, train: {epochs: 1, batch_size: 2}, "
        "data: {source: csv, label: label, path: '{YYYY}-{MM}-{DD}.csv'}, "
        "evaluate: {metrics: [{name: auc, head: label, at_least: 0.5}]}}"
    )
    assert tapeline(*words, cwd=tmp_path).stdout == "2026-01-05  2026-01-05.csv\n"


def test_tables_name_every_kind_of_event_and_every_figure(page, digits_run):
    kinds = {event["kind"] for event in read_events(Path(digits_run.summary["run_dir"]))}
    # The loop's own, of no use outside of it.
    missing = {kind for kind in kinds if f"`{kind}`" not in page} - {"train_data"}
    assert not missing
    assert {name for name in HELP if f"`{name}`" not in page} == set()
