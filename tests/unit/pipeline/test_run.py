"""One run of a pipeline at a time, in a root that takes it."""

from __future__ import annotations

import errno
import os

import pytest

from pipeline.config_file import ConfigError, Source, load_config
from pipeline.run import writing_root
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
