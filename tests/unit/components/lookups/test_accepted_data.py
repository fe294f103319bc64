"""What the gate let through, kept in a folder and looked up there as a resolver would."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from tfx.types import standard_artifacts

from components.anomaly_gate.strategy import GateVerdict
from components.lookups import accepted_records
from components.lookups.absence import ABSENT
from components.lookups.accepted_data import Keep, LookUp

SPLITS = '["train"]'


@pytest.fixture
def empty(artifact):
    """Makes an artifact that nothing is in yet."""
    ids = itertools.count(1)
    return lambda artifact_class: artifact(artifact_class, next(ids))


@pytest.fixture
def data(empty):
    """Makes statistics of some content and span, and their schema."""

    def make(content: str, span: int = 0):
        statistics = empty(standard_artifacts.ExampleStatistics)
        schema = empty(standard_artifacts.Schema)
        for found in (statistics, schema):
            folder = Path(found.uri, "Split-train")
            folder.mkdir()
            (folder / "content").write_text(content)
        statistics.span, statistics.split_names = span, SPLITS
        return statistics, schema

    return make


@pytest.fixture
def keep(data, empty, tmp_path):
    """Records data."""

    def run(content: str, span: int = 0, scope: str = "all") -> None:
        statistics, schema = data(content, span)
        inputs = {
            "statistics": [statistics],
            "schema": [schema],
            "verdict": [empty(GateVerdict)],
        }
        Keep().Do(inputs, {}, {"folder": str(tmp_path / "accepted"), "scope": scope})

    return run


@pytest.fixture
def look_up(data, empty, tmp_path):
    """Looks up what data are held to; returns the statistics and the schema that come out."""

    def run(content: str, span: int = 0, scope: str = "all"):
        candidate, _ = data(content, span)
        outputs = {
            "statistics": [empty(standard_artifacts.ExampleStatistics)],
            "schema": [empty(standard_artifacts.Schema)],
        }
        properties = {"folder": str(tmp_path / "accepted"), "scope": scope}
        LookUp().Do({"candidate": [candidate]}, outputs, properties)
        return outputs["statistics"][0], outputs["schema"][0]

    return run


def content(found) -> str | None:
    """Returns what an artifact holds; None if it stands for none."""
    if found.get_int_custom_property(ABSENT):
        return None
    return Path(found.uri, "Split-train", "content").read_text()


def reference(found) -> str | None:
    """Returns the content of a look-up's statistics, which its schema shares."""
    statistics, schema = found
    assert content(schema) == content(statistics)
    return content(statistics)


def test_look_up_when_nothing_was_accepted_then_says_so(look_up):
    assert reference(look_up("first")) is None


def test_look_up_when_several_were_accepted_then_is_the_latest(keep, look_up):
    for name in ("first", "second"):
        keep(name)
    statistics, schema = look_up("third")
    assert reference((statistics, schema)) == "second"
    assert (statistics.split_names, statistics.span) == (SPLITS, 0)


def test_look_up_when_the_data_were_accepted_before_then_is_what_they_were_held_to_at_first(
    keep, look_up
):
    for name in ("first", "second", "third"):
        keep(name)
    assert reference(look_up("second")) == "first"
    assert reference(look_up("first")) is None


def test_look_up_when_the_data_have_spans_then_is_the_span_before_them(keep, look_up):
    for span in (1, 2, 4):
        keep(f"span {span}", span)
    assert reference(look_up("filled in late", 3)) == "span 2"
    assert reference(look_up("the next", 5)) == "span 4"


def test_look_up_when_the_scope_is_another_then_does_not_count(keep, look_up):
    keep("a trial", scope="some rows")
    assert reference(look_up("all", scope="all rows")) is None


def test_keep_when_the_same_data_are_accepted_again_then_keeps_one_record(keep, tmp_path):
    keep("first")
    keep("first")
    (scope,) = (tmp_path / "accepted").iterdir()
    assert [path.name for path in scope.iterdir()] == ["1"]


def test_keep_when_a_copy_fails_then_leaves_no_record(keep, tmp_path, monkeypatch):
    keep("first")

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(accepted_records, "asdict", fail)  # after the copies, before the rename
    with pytest.raises(OSError, match="disk full"):
        keep("second")
    (scope,) = (tmp_path / "accepted").iterdir()
    assert [path.name for path in scope.iterdir()] == ["1"]
