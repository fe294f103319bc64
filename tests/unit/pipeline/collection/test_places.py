"""A root that was moved: behind a link it is the same, and without one nothing is freed."""

import shutil

import pytest

from pipeline.collection.collect import collect, look
from pipeline.config_file import ConfigError, load_config
from tests.unit.pipeline.collection.test_plan import freed


@pytest.fixture
def moved(site, tmp_path):
    """Three runs with a version each, and an old one; the root lies on another disk by now."""
    old = site.run("0", blessed=False, status="not_blessed")
    new = [site.run(str(number), span=number, version=100 + number) for number in (1, 2, 3)]
    shutil.move(tmp_path / "runs", tmp_path / "disk")
    return site, old, new


def test_collect_when_the_root_was_moved_and_a_link_leads_there_then_frees_the_same(
    moved, tmp_path
):
    site, old, new = moved
    (tmp_path / "runs").symlink_to(tmp_path / "disk")
    config = load_config(str(site.config_path))
    assert config.pipeline_root == tmp_path / "disk" / "digits", "not as the metadata have it"
    plan = collect(config, str(site.config_path), 3, 0.0, 0.0)
    there = config.pipeline_root / site.uri(old["Model"]).relative_to(site.root)
    assert there in freed(plan) and not there.exists()
    assert site.state(old["Model"]) == "DELETED"
    for number in (number for made in new for number in made.values()):
        assert site.state(number) == "LIVE" and list(site.uri(number).iterdir())


@pytest.mark.parametrize("call", [look, collect])
def test_gc_when_the_root_was_moved_and_no_link_leads_there_then_refuses(moved, tmp_path, call):
    site, _, new = moved
    config = load_config(str(site.config_path), [f"root={tmp_path / 'disk'}"])
    wait = [0.0] if call is collect else []
    found = rf"root: found {config.pipeline_root}, while \d+ artifacts .* lie in {site.root}"
    with pytest.raises(ConfigError, match=f"{found}; allowed: .* a link from {site.root} to it"):
        call(config, str(site.config_path), 3, 0.0, *wait)
    assert len(list(config.pipeline_root.glob("artifacts/*/*/*"))) == len(new[0]) * 4 + 3
    artifacts = site.store.get_artifacts()
    assert all(artifact.state == artifact.LIVE for artifact in artifacts)


def test_gc_when_an_artifact_of_a_bucket_is_known_then_is_left_alone(site):
    made = site.run("1")
    (artifact,) = site.store.get_artifacts_by_id([made["Model"]])
    artifact.uri = "gs://bucket/digits/artifacts/Trainer/model/1"
    site.store.put_artifacts([artifact])
    assert look(site.config, str(site.config_path), 1, 0.0).freed == []
