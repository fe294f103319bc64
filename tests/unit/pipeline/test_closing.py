"""The end of a run, where what failed the run fails its last words too."""

from __future__ import annotations

import io

import pytest

from pipeline.closing import show_summary
from pipeline.config_file import load_config
from pipeline.display import PlainDisplay
from pipeline.program import shell_line
from pipeline.report import ANOMALIES, FAILED, Summary

_NO_ROOM = "not written: No space left on device"


@pytest.fixture
def end(repository, tmp_path, monkeypatch):
    """Ends a run in a folder where nothing can be written; returns what is said."""

    def end(summary_of_status: Summary) -> list[str]:
        config = load_config(
            str(repository / "configs" / "digits.yaml"),
            [f"root={tmp_path / 'runs'}", f"monitor.prometheus={tmp_path / 'full.prom'}"],
        )
        stream = io.StringIO()
        command = ["run", "digits.yaml"]
        show_summary(summary_of_status, config, command, None, PlainDisplay(stream))
        return stream.getvalue().splitlines()

    return end


@pytest.fixture
def full_folder(tmp_path):
    """A run's folder whose files are on a disk that is full: what is written there never fits."""
    for name in (".anomalies.json.partial", ".summary.json.partial"):
        (tmp_path / name).symlink_to("/dev/full")
    (tmp_path / ".full.prom.partial").symlink_to("/dev/full")
    return tmp_path


def test_end_when_nothing_can_be_written_then_still_tells_the_failure_and_how_to_go_on(
    end, full_folder
):
    error = {"node": "Trainer", "cause": "disk full: /mnt has 0 MB left of 3 MB: free some"}
    lines = end(Summary(FAILED, "night-1", str(full_folder), error=error))
    assert lines == [
        f"warning    summary.json: {_NO_ROOM}",
        "",
        f"failed     Trainer: {error['cause']}",
        f"log        {full_folder}/run.log",
        f"go on      {shell_line('run', 'digits.yaml')}",
        f"same run   {shell_line('resume', str(full_folder))}",
        f"warning    monitor.prometheus: {full_folder}/full.prom: {_NO_ROOM}",
    ]


def test_end_when_the_verdict_cannot_be_written_then_is_still_shown(end, full_folder):
    finding = {
        "level": "stop", "feature": "fare", "rule": "type", "expected": "FLOAT", "found": "BYTES",
        "against": "schema", "splits": ["train"],
    }  # fmt: skip
    verdict = {"findings": [finding], "acceptance": None}
    lines = end(Summary(ANOMALIES, "night-1", str(full_folder), anomalies=verdict))
    assert f"warning    anomalies.json: {_NO_ROOM}" in lines
    assert "anomalies  1 stop, 0 warn" in lines
