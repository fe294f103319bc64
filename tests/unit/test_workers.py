"""How the tests themselves are spread over the workers of pytest-xdist."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

_FIXTURES = """
import os
import pytest

@pytest.fixture(scope="session")
def workdir(): pass

@pytest.fixture(scope="session")
def checkout(): pass

@pytest.fixture
def note(request):
    with open(request.path.parent / "workers", "a") as file:
        print(request.path.stem, request.node.name.partition("[")[0], os.getpid(), file=file)
"""

_TESTS = """
import pytest

@pytest.mark.parametrize("number", range(4))
def test_alone(number, note): pass

@pytest.mark.parametrize("number", range(4))
def test_shared(number, {fixture}, note): pass
"""


def _write(folder: Path, repository: Path, files: dict[str, str]) -> Path:
    """Writes a project of test files, each with its fixture, under the conftest of these tests."""
    tests = folder / "tests"
    tests.mkdir()
    shutil.copy(repository / "tests" / "conftest.py", tests)
    (folder / "conftest.py").write_text(_FIXTURES)
    for name, fixture in files.items():
        (tests / f"{name}.py").write_text(_TESTS.format(fixture=fixture))
    return tests


def test_tests_when_they_share_runs_or_a_file_then_are_of_one_worker(tmp_path, repository):
    """Else each worker would make the runs, or what the file's tests share, again."""
    files = {"test_a": "workdir", "test_b": "workdir", "test_c": "checkout"}
    tests = _write(tmp_path, repository, files)
    makefile = (repository / "Makefile").read_text()
    (command,) = [line for line in makefile.splitlines() if "-m pytest -n" in line]
    done = subprocess.run(
        [sys.executable, *shlex.split(command)[1:], "--import-mode=importlib"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout

    noted = [line.split() for line in (tests / "workers").read_text().splitlines()]
    assert len(noted) == 24
    workers: dict[str, set[str]] = {}
    for file, test, worker in noted:
        group = files[file] if test == "test_shared" else file
        workers.setdefault(group, set()).add(worker)
    assert {group: len(of) for group, of in workers.items()} == dict.fromkeys(
        ("workdir", "checkout", "test_a", "test_b", "test_c"), 1
    )
    assert workers["workdir"] != workers["checkout"]
