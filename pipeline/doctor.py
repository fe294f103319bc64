"""What `tapeline doctor` looks at: can the main job run here, and what optional parts are there."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

OK, WARN, FAIL = "ok", "warn", "fail"

LOCK = Path(__file__).resolve().parent.parent / "requirements" / "tfx-1.16.txt"

_GIB = 2**30


@dataclass(frozen=True)
class Result:
    """One check; `advice` says what to do, and is empty where nothing has to be done."""

    name: str
    level: str
    found: str
    advice: str = ""


def run_checks() -> Iterator[Result]:
    """Yields the checks in the order in which a failure of one would explain the next."""
    yield python()
    yield glibc()
    yield locked_versions(LOCK)
    yield cores(os.cpu_count() or 1)
    yield memory(_available_memory())
    yield disk(shutil.disk_usage(Path.cwd()).free)
    yield write_access(Path.cwd())
    yield gpu()
    yield optional("tensorflow_model_server", "serves pushed models; else use `tapeline predict`")
    yield optional("docker", "runs TF Serving's image")
    yield optional("java", "runs a Flink cluster: Java 17")
    yield optional("mvn", "fetches the jars of a Flink cluster")
    yield optional("airflow", "schedules pipelines; lives in an environment of its own")


def python(version: tuple[int, ...] = sys.version_info[:3]) -> Result:
    text = ".".join(map(str, version))
    if version[:2] == (3, 10):
        return Result("python", OK, text)
    return Result("python", FAIL, text, "the locked packages need Python 3.10: run `make run`")


def glibc(libc: tuple[str, str] | None = None) -> Result:
    name, version = libc or platform.libc_ver()
    found = f"{name} {version}".strip() or "none"
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if name == "glibc" and numbers >= (2, 17):
        return Result("glibc", OK, found)
    return Result("glibc", FAIL, found, "TensorFlow's wheels need Linux with glibc 2.17 or newer")


def locked_versions(lock: Path) -> Result:
    """Compares each locked version with the installed one."""
    name = "locked packages"
    if not lock.is_file():
        return Result(name, WARN, f"no lock at {lock}", "run from a clone to compare versions")
    pins = re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", lock.read_text(), re.MULTILINE)
    differing = []
    for package, version in pins:
        try:
            installed = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            installed = "missing"
        if installed != version:
            differing.append(f"{package} {installed}, not {version}")
    if not differing:
        return Result(name, OK, f"{len(pins)} as locked")
    shown = "; ".join(differing[:3]) + ("; ..." if len(differing) > 3 else "")
    return Result(name, FAIL, f"{len(differing)} differ: {shown}", "run `make clean run`")


def cores(count: int) -> Result:
    if count >= 2:
        return Result("cores", OK, str(count))
    return Result("cores", WARN, str(count), "runs will take about twice as long as on two")


def memory(available: int) -> Result:
    found = f"{available / _GIB:.1f} GiB available"
    if available >= 4 * _GIB:
        return Result("memory", OK, found)
    if available >= 2 * _GIB:
        return Result("memory", WARN, found, "the ready configurations peak near 2 GiB")
    return Result("memory", FAIL, found, "free some: the ready configurations need 2 GiB")


def disk(free: int) -> Result:
    found = f"{free / _GIB:.1f} GiB free"
    if free >= 5 * _GIB:
        return Result("disk", OK, found)
    if free >= _GIB // 2:
        return Result("disk", WARN, found, "the environment takes 3.5 GiB, a run some MiB")
    return Result("disk", FAIL, found, "free some: a run could not finish")


def write_access(folder: Path) -> Result:
    try:
        os.rmdir(tempfile.mkdtemp(prefix=".tapeline-", dir=folder))
    except OSError as error:
        advice = "work in a folder that you can write, or set `root`"
        return Result("write access", FAIL, f"{folder}: {error.strerror}", advice)
    return Result("write access", OK, str(folder))


def gpu() -> Result:
    """Looks for NVIDIA's driver, without loading TensorFlow."""
    devices = sorted(Path("/dev").glob("nvidia[0-9]*"))
    if devices:
        return Result("gpu", OK, f"{len(devices)} NVIDIA")
    return Result("gpu", OK, "none; training runs on the CPU")


def optional(program: str, purpose: str) -> Result:
    found = shutil.which(program)
    if found:
        return Result(program, OK, found)
    return Result(program, WARN, "not on PATH", f"optional: {purpose}")


def _available_memory() -> int:
    """Returns the memory that a new process can have, in bytes."""
    meminfo = Path("/proc/meminfo")
    text = meminfo.read_text() if meminfo.is_file() else ""
    match = re.search(r"^MemAvailable:\s+(\d+) kB", text, re.MULTILINE)
    return int(match.group(1)) * 1024 if match else 0
