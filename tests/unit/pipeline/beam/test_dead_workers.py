"""A worker of the direct engine that is killed, as the kernel does for want of memory."""

from __future__ import annotations

import re
import subprocess
import sys

PROGRAM = """
import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from pipeline.beam.dead_workers import failing_with_dead_workers

def die(row):
    import os, signal  # of a worker, which has no names of `__main__`
    os.kill(os.getpid(), signal.SIGKILL)

options = PipelineOptions(["--direct_running_mode=multi_processing", "--direct_num_workers=2"])
with failing_with_dead_workers():
    try:
        with beam.Pipeline(runner="DirectRunner", options=options) as pipeline:
            pipeline | beam.Create([1, 2]) | beam.Map(die)
    except RuntimeError as error:
        print("told:", error)
"""


def test_job_when_its_worker_is_killed_then_fails_and_says_so() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
    # Of the worker itself, or of the shell that started it.
    assert re.search(r"told: Worker subprocess exited with return code (-9|137)", done.stdout)
