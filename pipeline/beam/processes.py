"""What the processes of an engine are started with, and how one waits for them."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

_STEP = 0.05
_LIBRARIES = tuple(
    sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")
)


class EngineFailed(RuntimeError):
    """A process of an engine did not start; the message says which."""


def worker_environment() -> dict[str, str]:
    """Returns the environment in which workers find what this process does.

    A user's own task lives where they work or on a path of theirs, which a new process of Python
    does not search by itself. It does search its libraries, which another Python must not.
    """
    own = [os.path.abspath(path) for path in sys.path if path == "" or os.path.isdir(path)]
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    paths = [*filter(None, given), *(path for path in own if not path.startswith(_LIBRARIES))]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)),
        "TF_USE_LEGACY_KERAS": "1",
    }


def wait_for_port(
    name: str, port_file: Path, process: subprocess.Popen[bytes], seconds: float
) -> int:
    """Returns the port that a process writes to a file once it listens.

    Raises:
        EngineFailed: if it ends before, or takes longer than `seconds`.
    """
    deadline = time.monotonic() + seconds
    while not port_file.exists():
        if process.poll() is not None:
            raise EngineFailed(f"{name} ended with exit code {process.returncode}")
        if time.monotonic() > deadline:
            raise EngineFailed(f"{name} does not listen after {seconds:.0f} s")
        time.sleep(_STEP)
    return int(port_file.read_text(encoding="utf-8"))
