"""One run of a pipeline at a time, in a root that takes it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from pipeline import node
from pipeline.config_file import ConfigError, NotNow, Source, load_config
from pipeline.metadata.errors import MetadataError
from pipeline.report import FAILED, Summary
from pipeline.run import Asked, resume, writing_root
from pipeline.run_folder import Request, make_run_folder
from pipeline.run_lock import hold_root


def test_run_when_another_is_going_on_then_is_refused_and_writes_nothing(
    tmp_path, write_config, tapeline
) -> None:
    write_config()
    pipeline_root = tmp_path / "runs" / "digits"
    # This process is the other run.
    with hold_root(pipeline_root, "the-other"):
        before = sorted(tmp_path.rglob("*"))
        done = tapeline(
            "run", "run.yaml", "--set", "name=digits", "--set", "root=runs", cwd=tmp_path
        )
    assert done.code == 2, done
    found = f"root: found {pipeline_root}, where run the-other is going on (process {os.getpid()},"
    assert found in done.stderr
    assert "allowed: one run of a pipeline at a time: --wait SECONDS" in done.stderr
    assert sorted(tmp_path.rglob("*")) == before


def test_run_when_its_first_files_do_not_fit_then_names_the_root_and_the_disk(repository, tmp_path):
    path = str(repository / "configs" / "digits.yaml")
    config = load_config(path, [f"root={tmp_path}"])
    with (
        pytest.raises(ConfigError, match=r"root: found disk full: .* MB left of .*; allowed: "),
        writing_root(config, Source("run.yaml")),
    ):
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "run.lock"))


def test_resume_when_the_run_was_moved_then_is_refused_and_starts_no_other(
    tmp_path, write_config, tapeline
) -> None:
    config = load_config(str(write_config()), [f"root={tmp_path / 'runs'}"])
    run_dir = make_run_folder(config, "night-1", Request(str(tmp_path)))
    (tmp_path / "runs").rename(tmp_path / "moved")
    moved = tmp_path / "moved" / run_dir.relative_to(tmp_path / "runs")
    done = tapeline("resume", str(moved), cwd=tmp_path)
    assert done.code == 2, done
    assert f"RUN: found {moved}; allowed: where the run began, {run_dir}: move" in done.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("error", [NotNow(), MetadataError("metadata.host", "nobody", "start it")])
def test_node_when_what_failed_may_pass_then_a_scheduler_may_try_again(error, capsys) -> None:
    @node._tried_again
    def command() -> int:
        raise error

    assert command() == 1
    assert capsys.readouterr().err == f"error: {error}\n"


def test_run_when_resumed_and_killed_then_what_it_came_to_before_is_no_summary_of_it(
    repository, tmp_path, monkeypatch
):
    class Killed(BaseException):
        pass

    def die(*_arguments):
        raise Killed

    for step in ("check_inputs", "check_metadata", "prepare_task"):
        monkeypatch.setattr(f"pipeline.run.{step}", lambda *_: None)
    monkeypatch.setattr("pipeline.run.stopping.stop_on_sigterm", lambda: None)
    monkeypatch.setattr("pipeline.run._execute", die)
    config = load_config(str(repository / "configs" / "digits.yaml"), [f"root={tmp_path}"])
    folder = make_run_folder(config, "night-1", Request(str(Path.cwd())))
    Summary(FAILED, "night-1", str(folder)).write()
    with pytest.raises(Killed):
        resume(folder, Asked())
    assert not (folder / "summary.json").exists()
