"""What a Flink JobManager's REST interface tells about the cluster."""

from __future__ import annotations

import http.client
import json
import urllib.request
from dataclasses import dataclass
from typing import Any


class NoAnswer(RuntimeError):
    """Nobody, or no JobManager, answers; the message says what was found."""


@dataclass(frozen=True)
class Overview:
    """How many TaskManagers have joined, and how many slots they offer, taken ones included."""

    task_managers: int
    slots: int


def overview(master: str, timeout: float) -> Overview:
    """Asks a JobManager at `host:port`.

    Args:
        timeout: seconds.

    Raises:
        NoAnswer: if it does not answer as a JobManager.
    """
    found = get(master, "overview", timeout)
    try:
        return Overview(int(found["taskmanagers"]), int(found["slots-total"]))
    except (KeyError, TypeError, ValueError) as error:
        raise NoAnswer(f"no JobManager at {master}: /overview is {found}") from error


def get(master: str, path: str, timeout: float) -> Any:
    """Returns the JSON at a path of the interface.

    Raises:
        NoAnswer: if there is none.
    """
    url = f"http://{master}/{path}"
    try:
        with urllib.request.urlopen(url, timeout=timeout) as answer:
            return json.load(answer)
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise NoAnswer(f"no JobManager answers at {master}: {reason}") from error


def cancel(master: str, job: str, timeout: float) -> None:
    """Cancels a job.

    Raises:
        NoAnswer: if the JobManager does not take it.
    """
    url = f"http://{master}/jobs/{job}?mode=cancel"
    request = urllib.request.Request(url, method="PATCH")
    try:
        with urllib.request.urlopen(request, timeout=timeout):  # noqa: S310  http, as written
            pass
    except (OSError, http.client.HTTPException) as error:
        raise NoAnswer(f"the JobManager at {master} does not cancel {job}: {error}") from error
