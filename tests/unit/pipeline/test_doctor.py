"""What `tapeline doctor` finds well, tolerable and fatal."""

from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path

import pytest

from pipeline import doctor
from pipeline.doctor import FAIL, OK, WARN

GIB = 2**30


@pytest.mark.parametrize(
    ("version", "level"),
    [((3, 10, 0), OK), ((3, 10, 13), OK), ((3, 9, 18), FAIL), ((3, 11, 4), FAIL), ((2, 10), FAIL)],
)
def test_python_when_it_is_not_3_10_then_fails(version, level) -> None:
    result = doctor.python(version)
    assert (result.level, result.found) == (level, ".".join(map(str, version)))


@pytest.mark.parametrize(
    ("libc", "level", "found"),
    [
        (("glibc", "2.36"), OK, "glibc 2.36"),
        (("glibc", "2.17"), OK, "glibc 2.17"),
        (("glibc", "2.5"), FAIL, "glibc 2.5"),
        (("musl", "2.36"), FAIL, "musl 2.36"),
        (("", ""), FAIL, "none"),
    ],
)
def test_glibc_when_too_old_or_another_then_fails(libc, level, found) -> None:
    result = doctor.glibc(libc)
    assert (result.level, result.found) == (level, found)


@pytest.mark.parametrize(("count", "level"), [(1, WARN), (2, OK), (64, OK)])
def test_cores_when_there_is_one_then_warns(count, level) -> None:
    result = doctor.cores(count)
    assert (result.level, result.found) == (level, str(count))


@pytest.mark.parametrize(
    ("available", "level"),
    [(4 * GIB, OK), (4 * GIB - 1, WARN), (2 * GIB, WARN), (2 * GIB - 1, FAIL), (0, FAIL)],
)
def test_memory_when_short_then_warns_and_when_too_little_then_fails(available, level) -> None:
    result = doctor.memory(available)
    assert result.level == level
    assert result.found == f"{available / GIB:.1f} GiB available"


@pytest.mark.parametrize(
    ("free", "level"),
    [(5 * GIB, OK), (5 * GIB - 1, WARN), (GIB // 2, WARN), (GIB // 2 - 1, FAIL), (0, FAIL)],
)
def test_disk_when_short_then_warns_and_when_too_little_then_fails(free, level) -> None:
    result = doctor.disk(free)
    assert result.level == level
    assert result.found == f"{free / GIB:.1f} GiB free"


def pins(*names: str) -> list[str]:
    """Lines of a lock with hashes, as uv writes them, of what is installed here."""
    return [
        f"{name}=={importlib.metadata.version(name)} \\\n    --hash=sha256:00\n    # via tfx"
        for name in names
    ]


def lock_file(folder: Path, *lines: str) -> Path:
    path = folder / "lock.txt"
    path.write_text("\n".join(("# This file was made by uv", *lines, "")))
    return path


def test_lock_when_every_version_is_installed_then_ok(tmp_path) -> None:
    lock = lock_file(
        tmp_path, *pins("pytest", "pydantic"), f"numpy=={importlib.metadata.version('numpy')} ; x"
    )
    result = doctor.locked_versions(lock)
    assert (result.level, result.found, result.advice) == (OK, "3 as locked", "")


def test_lock_when_a_version_differs_or_is_missing_then_fails_and_names_it(tmp_path) -> None:
    lock = lock_file(tmp_path, *pins("pytest"), "pydantic==0.0.1", "no-such-package==1.0")
    result = doctor.locked_versions(lock)
    installed = importlib.metadata.version("pydantic")
    assert result.level == FAIL
    assert result.found == (
        f"2 differ: pydantic {installed}, not 0.0.1; no-such-package missing, not 1.0"
    )
    assert "make clean run" in result.advice


def test_lock_when_many_differ_then_names_the_first_three(tmp_path) -> None:
    result = doctor.locked_versions(lock_file(tmp_path, *(f"no-such-{n}==1" for n in range(5))))
    assert result.found.startswith("5 differ: no-such-0 missing")
    assert result.found.count("missing") == 3
    assert result.found.endswith("; ...")


def test_lock_when_there_is_none_then_warns(tmp_path) -> None:
    result = doctor.locked_versions(tmp_path / "nowhere.txt")
    assert result.level == WARN
    assert str(tmp_path / "nowhere.txt") in result.found


def test_lock_when_it_is_the_repository_s_then_it_is_there_with_versions() -> None:
    assert re.search(r"^tensorflow==", doctor.LOCK.read_text(), re.MULTILINE)


def test_write_access_when_the_folder_can_be_written_then_ok_and_leaves_nothing(tmp_path) -> None:
    assert doctor.write_access(tmp_path).level == OK
    assert list(tmp_path.iterdir()) == []


def test_write_access_when_it_cannot_then_fails_and_names_the_folder() -> None:
    result = doctor.write_access(Path("/proc"))
    assert result.level == FAIL
    assert result.found.startswith("/proc: ")


def test_gpu_when_there_is_none_or_some_then_ok() -> None:
    devices = list(Path("/dev").glob("nvidia[0-9]*"))
    result = doctor.gpu()
    assert result.level == OK
    assert result.found.startswith(str(len(devices)) if devices else "none")


def test_optional_when_on_the_path_then_ok_else_warns_what_for(tmp_path, monkeypatch) -> None:
    program = tmp_path / "model-server"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    here = doctor.optional("model-server", "serves")
    absent = doctor.optional("no-such-program", "serves")

    assert (here.level, here.found, here.advice) == (OK, str(program), "")
    assert (absent.level, absent.found, absent.advice) == (WARN, "not on PATH", "optional: serves")


def test_checks_when_run_here_then_each_is_of_this_machine_and_bad_ones_advise(
    tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    results = {result.name: result for result in doctor.run_checks()}

    assert list(results)[:8] == [
        "python", "glibc", "locked packages", "cores", "memory", "disk", "write access", "gpu"
    ]  # fmt: skip
    assert results["python"].level == OK, "the tests run on the locked Python"
    assert float(results["memory"].found.split()[0]) > 0, "read from /proc/meminfo"
    assert results["write access"].found == str(tmp_path)
    assert all(bool(result.advice) == (result.level != OK) for result in results.values())
