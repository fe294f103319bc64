"""The pipeline that pushed a version, whichever of its runs are still there."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from pipeline.origin import origin_config


@pytest.fixture
def version(tmp_path: Path) -> Path:
    """A version that run `night-2` of the pipeline `digits` pushed."""
    folder = tmp_path / "serving" / "1"
    (folder / "assets.extra").mkdir(parents=True)
    uri = tmp_path / "runs" / "digits" / "artifacts" / "Trainer" / "model" / "5"
    for name, values in {
        "tapeline.json": {"model_uri": str(uri)},
        "model_card.json": {"lineage": {"run_id": "night-2"}},
    }.items():
        (folder / "assets.extra" / name).write_text(json.dumps(values))
    return folder


@pytest.fixture
def add_run(tmp_path: Path, write_config):
    """Makes a run with a seed of its own, which began some seconds into 1970."""

    def add(run_id: str, began: int, pipeline: str = "digits") -> Path:
        folder = tmp_path / "runs" / pipeline / "runs" / run_id
        folder.mkdir(parents=True)
        path = write_config({"train.seed": began}).rename(folder / "config.yaml")
        os.utime(path, (began, began))
        return path

    return add


def test_origin_when_the_run_that_pushed_is_there_then_is_its_configuration(
    version, add_run, tmp_path
) -> None:
    add_run("night-2", 1)
    add_run("20260101-000000-000000", 2)
    config = origin_config(version)
    assert config.train.seed == 1
    assert config.pipeline_root == tmp_path / "runs" / "digits"


@pytest.mark.parametrize("left", [None, "train: {seed: [", "gone_key: 1\n"])
def test_origin_when_that_run_is_gone_or_unreadable_then_is_the_one_that_began_last(
    version, add_run, left
) -> None:
    """Ids do not sort as runs began: schedulers have their own."""
    add_run("night-1", 3)
    add_run("20260101-000000-000000", 4)
    add_run("a-later-one", 5).write_text("train: {seed: [")
    add_run("night-3", 6, pipeline="other")
    if left is not None:
        add_run("night-2", 1).write_text(left)
    assert origin_config(version).train.seed == 4


def test_origin_when_there_is_none_then_says_where_it_looked(version, tmp_path) -> None:
    root = tmp_path / "runs" / "digits"
    with pytest.raises(LookupError, match=f"no run's folder under {root} whose configuration"):
        origin_config(version)


@pytest.mark.parametrize("manifest", ["", "{}", '{"model_uri": 5}', '{"model_uri": "/model"}'])
def test_origin_when_the_version_does_not_say_then_says_so(version, manifest) -> None:
    (version / "assets.extra" / "tapeline.json").write_text(manifest)
    with pytest.raises(LookupError, match="a version that does not say which run it comes from"):
        origin_config(version)
