"""What an engine's options find in the environment while a run goes on, and not after."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest
from pydantic import TypeAdapter

from components.example_gen.config import SklearnConfig
from pipeline.beam import engine, running_mode
from pipeline.beam.arguments import ENVIRONMENT, JOB_ENDPOINT, RUNNING_MODE, WORKERS
from pipeline.beam.checks import listens
from pipeline.beam.config import BeamConfig
from pipeline.beam.engine import running_engine
from pipeline.beam.processes import EngineFailed, wait_for_port, worker_environment

DATA = SklearnConfig(dataset="digits", label="digit")
DIRECT = TypeAdapter(BeamConfig).validate_python({"engine": "direct", "workers": 5})


def test_portable_when_the_run_goes_on_then_two_processes_listen_and_else_none():
    portable = TypeAdapter(BeamConfig).validate_python({"engine": "portable"})
    with running_engine(portable, DATA):
        addresses = [os.environ[JOB_ENDPOINT], os.environ[ENVIRONMENT]]
        assert all(listens(address) for address in addresses)
    assert not any(listens(address) for address in addresses)
    assert JOB_ENDPOINT not in os.environ and ENVIRONMENT not in os.environ


def test_workers_when_the_task_is_found_by_this_process_alone_then_find_it_too(
    tmp_path, monkeypatch
):
    (tmp_path / "own_task_of_mine.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delenv("TF_USE_LEGACY_KERAS", raising=False)
    script = "import os, own_task_of_mine; print(os.environ['TF_USE_LEGACY_KERAS'])"
    done = subprocess.run(
        [sys.executable, "-c", script], env=worker_environment(), cwd="/",
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "1\n"


def test_workers_environment_names_no_library_of_this_python(monkeypatch):
    """Which a program that is written for another one would then import."""
    monkeypatch.delenv("PYTHONPATH", raising=False)
    paths = worker_environment()["PYTHONPATH"].split(os.pathsep)
    assert not [path for path in paths if "site-packages" in path or path.endswith("python3.10")]


def test_direct_when_workers_are_started_by_beam_then_they_inherit_the_same(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    before = os.environ.get("PYTHONPATH")
    with running_engine(DIRECT, DATA):
        assert str(tmp_path) in os.environ["PYTHONPATH"].split(os.pathsep)
    assert os.environ.get("PYTHONPATH") == before


def test_engine_when_a_process_ends_before_it_listens_then_says_which(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"])
    with pytest.raises(EngineFailed, match="the worker pool ended with exit code 3"):
        wait_for_port("the worker pool", tmp_path / "port", process, 600.0)


def test_engine_when_a_process_never_listens_then_does_not_wait_for_ever(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    began = time.monotonic()
    try:
        with pytest.raises(EngineFailed, match="the worker pool does not listen after 0 s"):
            wait_for_port("the worker pool", tmp_path / "port", process, 0.2)
    finally:
        process.kill()
        process.wait()
    assert time.monotonic() - began < 60


def test_direct_when_the_data_are_small_then_works_in_this_process(monkeypatch):
    with running_engine(DIRECT, DATA):
        assert (os.environ[RUNNING_MODE], os.environ[WORKERS]) == ("in_memory", "1")
    assert RUNNING_MODE not in os.environ


def test_direct_when_the_data_are_large_then_has_several_processes(monkeypatch, tmp_path):
    from components.example_gen.config import CsvConfig

    monkeypatch.setattr(running_mode, "MANY_BYTES", 10)
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n3,4\n")
    with running_engine(DIRECT, CsvConfig(source="csv", path=str(tmp_path), label="b")):
        assert (os.environ[RUNNING_MODE], os.environ[WORKERS]) == ("multi_processing", "5")


def test_direct_when_it_has_several_processes_then_one_for_each_core_of_this_machine(monkeypatch):
    monkeypatch.setattr(engine, "usable_cores", lambda: 7)
    direct = TypeAdapter(BeamConfig).validate_python({"running_mode": "multi_processing"})
    with running_engine(direct, DATA):
        assert os.environ[WORKERS] == "7"
    assert WORKERS not in os.environ
