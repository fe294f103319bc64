"""`tapeline gc`: what it says, in lines and as JSON, and how it is asked for wrongly."""

import json

import pytest
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.config_file import ConfigError
from pipeline.run_lock import hold_root


@pytest.fixture
def gc(site):
    def run(*arguments):
        result = CliRunner().invoke(app, ["gc", str(site.config_path), *arguments])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.stdout

    return run


def test_gc_when_asked_without_delete_then_lists_by_kind_and_frees_nothing(site, gc):
    old = site.run("1", span=1, blessed=False, status="not_blessed")
    site.run("2", span=2, version=100)
    site.run("3", span=3)
    text = gc("--keep-runs", "1")
    lines = text.splitlines()
    assert any(line.startswith("artifacts") and line.endswith("kB") for line in lines)
    assert f"  1 kB  {site.uri(old['Model'])}" in text
    assert "  version 100: 11 artifacts, 1 run folders" in lines
    assert "  run 3, of the newest 1: 10 artifacts, 1 run folders" in lines
    assert lines[-2].startswith("would free ")
    assert lines[-1].endswith("--keep-runs 1 --older-than 0d --delete")
    assert site.uri(old["Model"]).exists() and site.state(old["Model"]) == "LIVE"


def test_gc_when_asked_for_json_then_is_one_object_with_the_same(site, gc):
    old = site.run("1", span=1, blessed=False, status="not_blessed")
    site.run("2", span=2)
    site.run("3", span=3)
    looked = json.loads(gc("--keep-runs", "1", "--json"))
    done = json.loads(gc("--keep-runs", "1", "--json", "--delete"))
    assert (looked["deleted"], done["deleted"]) == (False, True)
    assert looked["freed"] == done["freed"] and looked["bytes"] == done["bytes"]
    assert looked["bytes"] == sum(folder["bytes"] for folder in looked["freed"])
    model = {"kind": "artifacts", "path": str(site.uri(old["Model"])), "bytes": 1000}
    assert model in looked["freed"]
    assert all(folder["why"] for folder in looked["kept"])
    assert not site.uri(old["Model"]).exists()


@pytest.mark.parametrize("age", ["14", "d", "-1d", "2y", "9" * 400 + "d"])
def test_gc_when_an_age_is_none_then_says_what_is(site, gc, age):
    site.run("1")
    with pytest.raises(ConfigError, match=r"--older-than: found .*allowed: hours, days or weeks"):
        gc("--older-than", age)


def test_gc_when_the_pipeline_never_ran_then_says_where_it_looked(gc, site):
    site.store = None
    (site.root / "metadata.sqlite").unlink()
    with pytest.raises(ConfigError, match=r"no metadata at .*metadata\.sqlite"):
        gc()


def test_gc_when_it_waits_for_a_run_then_says_for_which(site):
    site.run("1")
    arguments = ["gc", str(site.config_path), "--delete", "--json", "--wait", "1"]
    with hold_root(site.root, "2"):
        result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, ConfigError)
    assert "waiting for" in result.stderr and "run 2 is going on" in result.stderr
    assert not result.stdout, "one JSON object or none"
