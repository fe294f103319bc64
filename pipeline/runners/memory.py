"""How much memory a run may use: of its container, where that has a limit, or of the machine."""

from __future__ import annotations

import os
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")
_V1 = "memory/memory.limit_in_bytes"
_V2 = "memory.max"


def memory_limit(cgroups: Path = _CGROUPS, own: Path = _OWN) -> str:
    """Returns in words what there is.

    Args:
        cgroups: where the control groups are mounted.
        own: the file that names those of this process.
    """
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    # Where there is none, the first version says so by a number larger than any memory.
    limits = [limit for limit in _limits(cgroups, own) if limit < machine]
    if limits:
        return f"this container may use {_megabytes(min(limits))}"
    return f"this machine has {_megabytes(machine)}"


def _limits(cgroups: Path, own: Path) -> list[int]:
    """Returns the limits of the group that this process is in, and of those around it."""
    files = [cgroups / _V1, cgroups / _V2]
    for line in _text(own).splitlines():
        name = line.split(":", 2)[-1].strip("/")
        folder = cgroups / name
        while name and folder != cgroups:
            files.append(folder / _V2)
            folder = folder.parent
    texts = [_text(file).strip() for file in files]
    return [int(text) for text in texts if text.isdecimal()]


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError:
        return ""


def _megabytes(size: int) -> str:
    return f"{size // 10**6} MB"
