"""How the environment finds its Python and its installer, on machines that lack this or that."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

# Notes down how it is called; `python install` fails, as it does without a network.
_UV = """#!/bin/sh
echo "$@" >> "$(dirname "$0")/../calls"
case "$*" in "python install"*) exit 1;; esac
"""


class Machine:
    """A checkout on a machine whose PATH holds the bare tools of a shell, and what a test adds."""

    def __init__(self, folder: Path, repository: Path) -> None:
        self.checkout = folder / "a checkout"
        self.bin = folder / "bin"
        self.home = folder / "home"
        for path in (self.checkout / "requirements", self.bin, self.home):
            path.mkdir(parents=True)
        script = repository / "requirements" / "bootstrap.sh"
        shutil.copy(script, self.checkout / "requirements")
        for tool in ("sh", "dirname"):
            (self.bin / tool).symlink_to(str(shutil.which(tool)))

    def install_uv(self) -> None:
        (self.bin / "uv").write_text(_UV)
        (self.bin / "uv").chmod(0o755)

    def bootstrap(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", str(self.checkout / "requirements" / "bootstrap.sh"), *arguments],
            cwd=self.home,
            env={"PATH": str(self.bin), "HOME": str(self.home)},
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def uv_calls(self) -> list[str]:
        return (self.bin.parent / "calls").read_text().splitlines()


@pytest.fixture
def machine(tmp_path, repository) -> Machine:
    return Machine(tmp_path, repository)


def test_bootstrap_without_any_python_or_uv_says_what_to_install(machine):
    done = machine.bootstrap("run")
    assert done.returncode == 1
    assert "error: found no uv, and no Python" in done.stderr
    assert "Python 3.10" in done.stderr
    assert "pyenv install 3.10" in done.stderr
    assert not (machine.checkout / ".venv").exists()


def test_bootstrap_with_uv_alone_asks_it_for_python_and_says_so_when_it_has_none(machine):
    machine.install_uv()
    done = machine.bootstrap("run")
    assert done.returncode == 1
    assert machine.uv_calls == ["python install -q 3.10"]
    assert "uv could not fetch one" in done.stderr
    assert "pyenv install 3.10" in done.stderr


@pytest.mark.parametrize("place", ["PATH", "pyenv"])
def test_bootstrap_finds_python_310_and_installs_the_locks_with_it(machine, place):
    machine.install_uv()
    if place == "PATH":
        python = machine.bin / "python3.10"
    else:
        python = machine.home / ".pyenv" / "versions" / "3.10.99" / "bin" / "python"
        python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    done = machine.bootstrap("run")
    assert done.returncode == 0, done.stderr
    venv, sync, project = machine.uv_calls
    assert venv == f"venv -q --clear --seed --python {python} .venv"
    assert sync.endswith("--require-hashes --compile-bytecode requirements/tfx-1.16.txt")
    assert project.endswith("--no-deps --no-build-isolation -e .")


def test_bootstrap_for_development_installs_both_locks(machine):
    machine.install_uv()
    (machine.bin / "python3").symlink_to(sys.executable)
    machine.bootstrap("dev")
    assert machine.uv_calls[1].endswith("requirements/tfx-1.16.txt requirements/dev.txt")


def test_bootstrap_over_a_present_environment_keeps_it(machine):
    machine.install_uv()
    (machine.bin / "python3.10").symlink_to(sys.executable)
    python = machine.checkout / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    machine.bootstrap("run")
    assert [call.split()[0] for call in machine.uv_calls] == ["pip", "pip"]


def test_bootstrap_for_benchmarks_leaves_the_environment_alone(machine):
    machine.install_uv()
    (machine.bin / "rm").symlink_to(str(shutil.which("rm")))
    done = machine.bootstrap("bench")
    assert done.returncode == 0, done.stderr
    (install,) = machine.uv_calls
    assert "--target build/bench-packages --no-deps --require-hashes" in install
    assert install.endswith("-r requirements/bench.txt")


def test_bootstrap_for_airflow_makes_an_environment_of_its_own(machine):
    machine.install_uv()
    (machine.bin / "python3.10").symlink_to(sys.executable)
    done = machine.bootstrap("airflow")
    assert done.returncode == 0, done.stderr
    venv, sync = machine.uv_calls
    assert venv.endswith(" .venv-airflow")
    assert "--python .venv-airflow/bin/python --require-hashes" in sync
    assert sync.endswith(" requirements/airflow.txt")


def test_bootstrap_for_submission_makes_an_environment_of_its_own(machine):
    machine.install_uv()
    (machine.bin / "python3.10").symlink_to(sys.executable)
    done = machine.bootstrap("kfp")
    assert done.returncode == 0, done.stderr
    venv, sync = machine.uv_calls
    assert venv == f"venv -q --clear --python {machine.bin / 'python3.10'} .venv-kfp"
    assert "--python .venv-kfp/bin/python --require-hashes" in sync
    assert sync.endswith(" requirements/kfp.txt")


def test_locks_pin_every_package_by_version_and_hash(repository):
    for name in ("tfx-1.16", "dev", "uv", "bench", "airflow", "kfp"):
        lines = (repository / "requirements" / f"{name}.txt").read_text().splitlines()
        pinned = [line for line in lines if line and not line.startswith((" ", "#"))]
        assert pinned
        assert all("==" in line and line.endswith("\\") for line in pinned), name
