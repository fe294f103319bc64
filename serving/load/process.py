"""Runs a load in a process of its own, so that whoever measures does not share an interpreter."""

from __future__ import annotations

import json
import subprocess
import sys

from serving.load.calls import Call, to_json
from serving.load.record import LoadResult

_START_AND_END = 60.0
"""Seconds that the process may take besides the load."""


class LoadFailed(RuntimeError):
    """The load itself did not run; the message has the end of what its process said."""


def run_load(call: Call, clients: int, seconds: float = 5.0, warmup: float = 1.0) -> LoadResult:
    """Asks a server from `clients` clients, each of which asks again once it is answered.

    Args:
        seconds: how long it is measured.
        warmup: seconds before, which are not recorded.

    Raises:
        LoadFailed: if the load could not be made. A server that refuses is not a failure: its
            refusals are the result's errors.
    """
    order = {"call": to_json(call), "clients": clients, "seconds": seconds, "warmup": warmup}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "serving.load"],
            input=json.dumps(order),
            capture_output=True,
            text=True,
            timeout=warmup + seconds + _START_AND_END,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise LoadFailed(f"the load did not end within {error.timeout:.0f} s") from error
    if done.returncode != 0:
        raise LoadFailed(f"the load ended with code {done.returncode}: {done.stderr[-2000:]}")
    return LoadResult(**json.loads(done.stdout))
