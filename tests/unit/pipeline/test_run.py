"""One run of a pipeline at a time."""

from __future__ import annotations

import fcntl
import os


def test_run_when_another_is_going_on_then_is_refused_and_writes_nothing(
    tmp_path, write_config, tapeline
) -> None:
    write_config()
    pipeline_root = tmp_path / "runs" / "digits"
    (pipeline_root / "runs").mkdir(parents=True)
    # The lock that the other run, here this process, holds until it ends.
    descriptor = os.open(pipeline_root, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    before = sorted(tmp_path.rglob("*"))

    done = tapeline("run", "run.yaml", "--set", "name=digits", "--set", "root=runs", cwd=tmp_path)

    os.close(descriptor)
    assert done.code == 2, done
    assert f"root: found {pipeline_root}, where a run is going on; allowed: one run" in done.stderr
    assert sorted(tmp_path.rglob("*")) == before
