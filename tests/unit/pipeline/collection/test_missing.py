"""Artifacts that somebody removed: the books are told, and the node that made them runs again."""

import shutil

import pytest
from tfx.orchestration.portable import cache_utils

from pipeline.collection.books import read_books
from pipeline.collection.missing import forget_missing_outputs


def test_forget_when_everything_is_there_then_says_and_changes_nothing(site):
    made = site.run("1", span=1, version=100)
    before = site.store.get_artifacts()
    assert forget_missing_outputs(site.store, "digits") == []
    assert site.store.get_artifacts() == before, "the cache's keys hold when it was changed too"
    assert site.state(made["Model"]) == "LIVE"


@pytest.mark.parametrize(
    ("kind", "removed", "fault"),
    [
        ("Model", "", "it is gone"),
        ("Model", "data", "it is empty"),
        ("Examples", "Split-eval", "its Split-eval is gone"),
    ],
)
def test_forget_when_a_folder_or_its_content_is_gone_then_the_cache_no_longer_gives_it(
    site, kind, removed, fault
):
    made = site.run("1", span=1)
    (maker,) = read_books(site.store, "digits").makers(made[kind])
    assert cache_utils._get_outputs_of_execution(site, maker.id)
    place = site.uri(made[kind]) / removed
    place.unlink() if place.is_file() else shutil.rmtree(place)
    uri = site.uri(made[kind])
    expected = [f"{uri}: {fault}; what made it runs again"]
    assert forget_missing_outputs(site.store, "digits") == expected
    assert site.state(made[kind]) == "DELETED"
    assert cache_utils._get_outputs_of_execution(site, maker.id) is None
    assert forget_missing_outputs(site.store, "digits") == [], "said once"


def test_forget_when_what_was_away_is_there_again_then_it_is_live_again(site, tmp_path):
    made = site.run("1", span=1)
    shutil.move(site.uri(made["Model"]), tmp_path / "away")
    assert forget_missing_outputs(site.store, "digits")
    shutil.move(tmp_path / "away", site.uri(made["Model"]))
    assert site.uri(made["Model"]) not in {folder.path for folder in site.plan().freed}
    assert forget_missing_outputs(site.store, "digits") == []
    assert site.state(made["Model"]) == "LIVE"


def test_forget_when_a_pipeline_never_ran_then_there_is_nothing(site):
    assert forget_missing_outputs(site.store, "other") == []


def test_forget_when_an_artifact_lies_in_a_bucket_then_is_left_alone(site):
    made = site.run("1", span=1)
    (artifact,) = site.store.get_artifacts_by_id([made["Model"]])
    artifact.uri = "gs://bucket/model"
    site.store.put_artifacts([artifact])
    assert forget_missing_outputs(site.store, "digits") == []
