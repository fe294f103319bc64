"""A process whose cluster is gone says so and ends."""

from __future__ import annotations

import subprocess
import sys

import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)
from trainer_module import watchdog

import tensorflow as tf  # isort: skip

STALLED = """
import threading
from trainer_module import watchdog
with watchdog.Watchdog(0.2):
    watchdog.beat(trained=True)
    watchdog.saved(40)
    threading.Event().wait()
"""

NEVER_CALLED = STALLED.replace("beat(trained=True)", "beat()").replace("0.2", "0.1")

THROUGH = """
import time
from trainer_module import watchdog
with watchdog.Watchdog(0.2):
    for _ in range(10):
        watchdog.beat()
        time.sleep(0.01)
time.sleep(1.0)
"""


def _run(script: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120
    )


def test_watchdog_when_no_call_ends_then_ends_the_process_and_says_where_it_resumes():
    done = _run(STALLED)
    assert done.returncode == watchdog.EXIT_CODE == 138
    last = done.stderr.splitlines()[-1]
    assert "(train.stall_seconds is 0.2)" in last and "to resume from step 40" in last
    assert "MainThread" in done.stderr or "most recent call first" in done.stderr


def test_watchdog_when_not_even_the_first_call_ends_then_waits_three_times_as_long():
    done = _run(NEVER_CALLED)
    assert done.returncode == watchdog.EXIT_CODE
    assert "(train.stall_seconds is 0.1)" in done.stderr


def test_watchdog_when_the_training_is_through_then_leaves_the_process_alone():
    assert _run(THROUGH).returncode == 0


@pytest.mark.parametrize(
    ("error", "peer"),
    [
        (
            tf.errors.UnavailableError(
                None,
                None,
                "Graph execution error:\n\nCollective ops is aborted by: Error reported from "
                "/job:worker/task:1: heartbeat timeout.",
            ),
            "worker 1 does not answer",
        ),
        (
            tf.errors.UnavailableError(
                None, None, "from remote target /job:ps/replica:0/task:0 while calling"
            ),
            "ps 0 does not answer",
        ),
        (
            tf.errors.InternalError(None, None, "Collective ops is aborted by: the end of days"),
            "another process of the cluster does not answer",
        ),
    ],
)
def test_explain_when_a_peer_is_gone_then_names_it(error, peer):
    lost = watchdog.explain(error)
    assert isinstance(lost, watchdog.PeerLost)
    assert str(lost).startswith(f"{peer}; run again to resume from step ")


def test_explain_when_the_error_is_not_of_the_cluster_then_returns_none():
    assert watchdog.explain(tf.errors.InvalidArgumentError(None, None, "shapes differ")) is None
