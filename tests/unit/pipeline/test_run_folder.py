"""The folder of a run: made once, found again, and read back as it was asked for."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pipeline.config_file import ConfigError, load_config
from pipeline.run_folder import (
    Request,
    check_run_id,
    find_run,
    make_run_folder,
    read_request,
)


@pytest.fixture
def config(repository, tmp_path):
    path = str(repository / "configs" / "digits.yaml")
    return load_config(path, [f"root={tmp_path / 'runs'}"])


def test_run_folder_when_read_back_then_is_what_was_asked_for(config, tmp_path):
    request = Request(str(tmp_path), {"span": "2026-01-31"}, to_gate=True)
    folder = make_run_folder(config, "night-1", request)
    assert folder == tmp_path / "runs" / "digits" / "runs" / "night-1"
    assert read_request(folder) == (config, request)


def test_run_folder_when_it_is_there_then_keeps_what_the_run_began_with(config, tmp_path):
    first = Request(str(tmp_path), {"span": "1"})
    folder = make_run_folder(config, "night-1", first)
    changed = config.model_copy(update={"cache": False})
    assert make_run_folder(changed, "night-1", Request("/elsewhere")) == folder
    assert read_request(folder) == (config, first)


@pytest.mark.parametrize("run_id", ["", "../up", "a/b", ".hidden", "a b", "x" * 201, "é"])
def test_run_id_when_it_is_no_name_of_a_folder_then_is_refused(run_id):
    with pytest.raises(ConfigError, match="--run-id: found"):
        check_run_id(run_id)
    assert check_run_id("digits.scheduled-2026_01") == "digits.scheduled-2026_01"


def test_find_run_when_given_a_folder_or_an_id_then_finds_it(config, tmp_path):
    folder = make_run_folder(config, "night-1", Request(str(tmp_path)))
    assert find_run(str(folder), tmp_path) == folder
    assert find_run("night-1", tmp_path / "runs") == folder


def test_find_run_when_there_is_none_then_names_one_that_there_is(config, tmp_path):
    make_run_folder(config, "night-1", Request(str(tmp_path)))
    with pytest.raises(ConfigError, match=r"RUN: found night-2, no run; .*, such as night-1"):
        find_run("night-2", tmp_path / "runs")


def test_find_run_when_one_is_removed_meanwhile_then_is_another(config, tmp_path, monkeypatch):
    kept, gone = (make_run_folder(config, name, Request(str(tmp_path))) for name in "ab")
    glob = Path.glob

    def list_and_remove(folder, pattern):
        found = list(glob(folder, pattern))
        shutil.rmtree(gone, ignore_errors=True)
        return found

    monkeypatch.setattr(Path, "glob", list_and_remove)
    assert find_run(None, tmp_path / "runs") == kept


def test_find_run_when_two_pipelines_have_the_id_then_asks_for_the_folder(config, tmp_path):
    other = config.model_copy(update={"name": "other"})
    folders = [make_run_folder(c, "night-1", Request(str(tmp_path))) for c in (config, other)]
    with pytest.raises(ConfigError, match="2 runs of the id night-1") as raised:
        find_run("night-1", tmp_path / "runs")
    assert all(str(folder) in str(raised.value) for folder in folders)


def test_read_request_when_the_folder_is_none_of_a_run_then_says_so(tmp_path):
    with pytest.raises(ConfigError, match=r"run.json: \(file\): found No such file"):
        read_request(tmp_path)


def test_find_run_when_the_run_ended_before_it_had_begun_then_says_so(config, tmp_path):
    folder = make_run_folder(config, "night-1", Request(str(tmp_path)))
    (folder / "run.json").unlink()
    begin = r"no such file: the run ended before .* start this one again with `tapeline run`"
    assert find_run("night-1", tmp_path / "runs") == folder
    with pytest.raises(ConfigError, match=f"run.json: .file.: found {begin}"):
        read_request(folder)
    (folder / "config.yaml").unlink()
    for run in (str(folder), "night-1"):
        with pytest.raises(ConfigError, match=f"config.yaml: .file.: found {begin}"):
            find_run(run, tmp_path / "runs")
