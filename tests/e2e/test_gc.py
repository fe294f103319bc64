"""Ten runs, then `tapeline gc`: what is served still loads, answers and explains itself."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

_SMALL = [
    "--set", "train.epochs=2",
    "--set", "serve.keep_versions=3",
    "--set", "evaluate.metrics=[{name: binary_accuracy, head: diagnosis, at_least: 0.0}]",
]  # fmt: skip


def _disk_bytes(folder: Path) -> int:
    found = {}
    for place, _, names in os.walk(folder):
        for name in names:
            status = Path(place, name).lstat()
            found[status.st_ino] = status.st_size
    return sum(found.values())


@pytest.mark.slow
def test_gc_when_ten_runs_were_made_then_frees_what_it_says_and_all_that_is_served_works(
    tapeline, repository, tmp_path
):
    (tmp_path / "configs").symlink_to(repository / "configs")
    config = "configs/breast_cancer.yaml"

    def run(seed: int):
        return tapeline(
            "run", config, "--json", *_SMALL, "--set", f"train.seed={seed}", cwd=tmp_path
        )

    for seed in range(10):
        done = run(seed)
        assert done.code == 0, done
    last = done.summary
    root = tmp_path / "runs" / "breast_cancer"

    asked = ("gc", config, *_SMALL, "--keep-runs", "2", "--json")
    looked = json.loads(tapeline(*asked, cwd=tmp_path).stdout)
    before = _disk_bytes(root)
    metadata = (root / "metadata.sqlite").stat().st_size
    freed = tapeline(*asked, "--delete", cwd=tmp_path)
    assert freed.code == 0, freed
    said = json.loads(freed.stdout)
    assert said["freed"] == looked["freed"] and said["bytes"] > 0
    grown = (root / "metadata.sqlite").stat().st_size - metadata
    lock = 200  # bytes that the name of its holder may differ by
    assert abs(before - _disk_bytes(root) + grown - said["bytes"]) < lock
    kinds = {folder["kind"] for folder in said["freed"]}
    assert {"artifacts", "checkpoints", "run folders"} <= kinds

    versions = sorted(path for path in (root / "serving" / "breast_cancer").iterdir())
    assert len(versions) >= 3
    for version in versions:
        answered = tapeline("predict", str(version), "--sample", "2", cwd=tmp_path)
        assert answered.code == 0 and answered.stdout, answered
        told = tapeline("lineage", str(version), "--json", cwd=tmp_path)
        assert told.code == 0, told
        data = json.loads(told.stdout)["data"]
        assert data["sources"][0]["name"] == "breast_cancer"

    again = run(9)
    assert again.code == 0, again
    states = {node["name"]: node["state"] for node in again.summary["nodes"]}
    assert set(states.values()) <= {"cached"}, states
    assert again.summary["metrics"] == last["metrics"]
    old = run(0)
    assert old.code == 0, "its outputs are gone: it runs again"
