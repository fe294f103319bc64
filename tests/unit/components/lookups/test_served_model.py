"""The look-up of the last blessed model in the serving directory."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
from tfx.types import standard_artifacts

from components.lookups.absence import ABSENT
from components.lookups.served_model import VERSION, Executor
from serving.version_folders import content_digest


def write_model(folder: Path, content: str) -> str:
    """Writes what counts of a SavedModel, and returns its digest."""
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_text(content)
    (folder / "variables" / "variables.index").write_text(content)
    return content_digest(folder)


@pytest.fixture
def push(tmp_path):
    """Puts a version there, as a push does."""

    def write(version: int, content: str) -> None:
        folder = tmp_path / "serving" / "digits" / str(version)
        digest = write_model(folder, content)
        (folder / "assets.extra").mkdir()
        (folder / "assets.extra" / "tapeline.json").write_text(json.dumps({"digest": digest}))

    return write


@pytest.fixture
def look_up(artifact, tmp_path):
    """Looks a model up, given the content of the candidate; returns the artifact that comes out."""
    ids = itertools.count(1)

    def run(candidate: str | None = None):
        inputs = {}
        if candidate is not None:
            found = artifact(standard_artifacts.Model, next(ids))
            write_model(Path(found.uri, "Format-Serving"), candidate)
            inputs = {"candidate": [found]}
        output = artifact(standard_artifacts.Model, next(ids))
        properties = {"folder": str(tmp_path / "serving" / "digits")}
        Executor().Do(inputs, {"model": [output]}, properties)
        return output

    return run


def content(model) -> str:
    return Path(model.uri, "Format-Serving", "saved_model.pb").read_text()


def test_look_up_when_versions_are_served_then_is_a_copy_of_the_newest(push, look_up, tmp_path):
    push(9, "old")
    push(10, "new")
    found = look_up()
    assert content(found) == "new"
    assert found.get_string_custom_property(VERSION) == "10"
    index = Path(found.uri, "Format-Serving", "variables", "variables.index")
    assert index.read_text() == "new" and not index.is_symlink()


def test_look_up_when_the_newest_is_the_candidate_then_is_the_one_before(push, look_up):
    push(9, "old")
    push(10, "new")
    assert content(look_up(candidate="new")) == "old"
    assert content(look_up(candidate="another")) == "new"


@pytest.mark.parametrize("versions", [{}, {10: "candidate"}])
def test_look_up_when_there_is_no_other_model_then_says_so(versions, push, look_up):
    for version, model in versions.items():
        push(version, model)
    found = look_up(candidate="candidate")
    assert found.get_int_custom_property(ABSENT) == 1
    assert list(Path(found.uri).iterdir()) == []


def test_look_up_when_the_newest_folder_is_no_model_then_is_the_one_before(push, look_up, tmp_path):
    push(9, "old")
    (tmp_path / "serving" / "digits" / "10").mkdir()
    assert content(look_up()) == "old"
