"""Which versions there are, and what each was made of: what is not known is asked for."""

import json
import shutil

import pytest

from pipeline.collection.collect import collect, look
from pipeline.config_file import ConfigError, load_config
from tests.unit.pipeline.collection.conftest import write
from tests.unit.pipeline.collection.test_plan import whys


def test_plan_when_a_version_was_pushed_to_another_directory_then_is_kept_too(site, tmp_path):
    """A configuration may have had another serve.root when it pushed."""
    served = site.run("1", span=1, version=100)
    moved = tmp_path / "other" / "digits"
    shutil.copytree(site.config.model_folder, moved)
    (artifact,) = [a for a in site.store.get_artifacts() if a.type == "PushedModel"]
    artifact.custom_properties["pushed_destination"].string_value = str(moved / "100")
    site.store.put_artifacts([artifact])
    shutil.rmtree(site.config.model_folder)
    for number in range(2, 6):
        site.run(str(number), span=number)
    assert whys(site.plan(), site.uri(served["Model"])) == ["version 100"]


def test_plan_when_another_program_put_a_version_there_then_keeps_nothing_for_it(site):
    site.run("1", span=1)
    write(site.config.model_folder / "7" / "saved_model.pb")
    (site.config.model_folder / "8" / "assets.extra").mkdir(parents=True)
    (site.config.model_folder / "8" / "assets.extra" / "tapeline.json").write_text(json.dumps({}))
    site.run("2", span=2)
    assert not [f for f in site.plan().kept if any("version" in why for why in f.why)]


def pushed(site, runs=5):
    """A version of an old run."""
    made = site.run("1", span=1, version=100)
    for number in range(2, runs + 1):
        site.run(str(number), span=number)
    return made, site.config.model_folder / "100" / "assets.extra" / "tapeline.json"


@pytest.mark.parametrize("text", [None, "", "[]", "null", '{"model_artifact_id": [1]}', "{}"])
def test_plan_when_a_manifest_is_damaged_then_keeps_what_the_metadata_say_was_pushed(site, text):
    made, manifest = pushed(site)
    manifest.unlink() if text is None else manifest.write_text(text)
    assert whys(site.plan(), site.uri(made["Model"])) == ["version 100"]


def test_plan_when_a_manifest_is_damaged_and_the_directory_was_moved_then_keeps_the_same(
    site, tmp_path
):
    made, manifest = pushed(site)
    manifest.write_text("")
    shutil.copytree(site.config.model_folder, tmp_path / "moved" / "digits")
    shutil.rmtree(site.config.model_folder / "100")
    site.config = load_config(str(site.config_path), [f"serve.root={tmp_path / 'moved'}"])
    assert whys(site.plan(), site.uri(made["Model"])) == ["version 100"]


@pytest.mark.parametrize("text", [b"", b"[]", b'{"model_uri": 1}', b"\xff\xfe"])
@pytest.mark.parametrize("call", [look, collect])
def test_gc_when_nobody_knows_what_a_version_was_made_of_then_refuses(site, text, call):
    """The metadata are new, and the manifest is damaged."""
    made, manifest = pushed(site)
    new = site.lose_books()
    new.run("9", span=9)
    manifest.write_bytes(text)
    wait = [0.0] if call is collect else []
    with pytest.raises(ConfigError, match=f"{manifest}: .*found no manifest of a version.*remove"):
        call(site.config, str(site.config_path), 1, 0.0, *wait)
    assert site.uri(made["Model"]).exists()


@pytest.mark.parametrize("call", [look, collect])
def test_gc_when_the_serving_directory_is_not_mounted_then_refuses_and_names_it(
    site, tmp_path, call
):
    made, _ = pushed(site)
    shutil.move(site.config.model_folder, tmp_path / "away")
    wait = [0.0] if call is collect else []
    found = f"serve.root: found {site.config.model_folder}, which does not exist, while 1 versions"
    with pytest.raises(ConfigError, match=f"{found}.*allowed: a folder that is there: mount it"):
        call(site.config, str(site.config_path), 1, 0.0, *wait)
    assert site.state(made["Model"]) == "LIVE" and site.uri(made["Model"]).exists()


def test_gc_when_a_serving_directory_is_gone_for_good_then_is_told_once(site):
    made, _ = pushed(site)
    shutil.rmtree(site.config.model_folder)
    site.config.model_folder.mkdir()
    collect(site.config, str(site.config_path), 1, 0.0, 0.0)
    assert not site.uri(made["Model"]).exists()
    site.config.model_folder.rmdir()
    assert look(site.config, str(site.config_path), 1, 0.0).freed == []


def test_plan_when_the_serving_directory_is_a_link_then_its_versions_count(site, tmp_path):
    made, _ = pushed(site)
    shutil.move(site.config.model_folder, tmp_path / "elsewhere")
    site.config.model_folder.symlink_to(tmp_path / "elsewhere")
    assert whys(site.plan(), site.uri(made["Model"])) == ["version 100"]
