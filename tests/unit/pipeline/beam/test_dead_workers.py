"""A worker of Beam that is killed, as the kernel does for want of memory."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

DIRECT = """
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


PORTABLE = """
import os

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from pydantic import TypeAdapter
from components.example_gen.config import SklearnConfig
from pipeline.beam.arguments import ENVIRONMENT, JOB_ENDPOINT
from pipeline.beam.config import BeamConfig
from pipeline.beam.engine import running_engine

def die(row):
    import os, signal
    os.kill(os.getpid(), signal.SIGKILL)

portable = TypeAdapter(BeamConfig).validate_python({"engine": "portable"})
with running_engine(portable, SklearnConfig(dataset="digits", label="digit")):
    options = PipelineOptions([
        "--environment_type=EXTERNAL", f"--environment_config={os.environ[ENVIRONMENT]}",
        f"--job_endpoint={os.environ[JOB_ENDPOINT]}",
    ])
    try:
        with beam.Pipeline(runner="PortableRunner", options=options) as pipeline:
            pipeline | beam.Create([1, 2]) | beam.Map(die)
    except RuntimeError as error:
        print("told:", error)
"""


@pytest.mark.parametrize(
    ("program", "told"),
    [
        # Of the worker itself, or of the shell that started it.
        (DIRECT, r"told: Worker subprocess exited with return code (-9|137)"),
        (PORTABLE, r"told: (.*\n)*RuntimeError: a worker of Beam was killed before it answered"),
    ],
    ids=["direct", "portable"],
)
def test_job_when_its_worker_is_killed_then_fails_and_says_so(program, told) -> None:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
    assert re.search(told, done.stdout)
