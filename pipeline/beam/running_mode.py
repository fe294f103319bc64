"""Whether the direct engine works in this process or in one for each core, by the data's size."""

from __future__ import annotations

import os
from pathlib import Path

from pipeline.beam.config import DirectConfig

IN_MEMORY, MULTI_PROCESSING = "in_memory", "multi_processing"

MANY_BYTES = 256 * 2**20
"""From here on several processes may pay.

Each of them imports TensorFlow again for each job, ten seconds of a core, and every row goes
through a socket: on two cores they took 2.4 times as long at 15,000 rows of a table (2 MB), and
0.67 of the time at 1.5 million (190 MB).
"""

FEW_CORES = 2
"""Up to here there is little to share: the runner itself takes a core."""


def running_mode(direct: DirectConfig, data_bytes: int, cores: int) -> str:
    """Returns `in_memory` or `multi_processing`.

    Args:
        data_bytes: size of the data's files; 0 where there are none.
        cores: that this process may use.
    """
    if direct.running_mode != "auto":
        return direct.running_mode
    workers = direct.workers or cores
    if data_bytes < MANY_BYTES or workers <= FEW_CORES:
        return IN_MEMORY
    return MULTI_PROCESSING


def files_bytes(path: str | None) -> int:
    """Returns the size of a file, or of all files under a folder; 0 for what is neither."""
    if path is None:
        return 0
    root = Path(path).expanduser()
    if root.is_file():
        return root.stat().st_size
    return sum(
        os.path.getsize(os.path.join(folder, name))
        for folder, _, names in os.walk(root)
        for name in names
        if os.path.isfile(os.path.join(folder, name))
    )


def usable_cores() -> int:
    return len(os.sched_getaffinity(0))
