"""A process that ends with the one that started it, however that ends, and its children with it.

    with child_process([sys.executable, "-m", "some.server"]) as process:
        ...

A run may be killed outright, and would leave its servers behind: between them stands this module
as a program, which notices that its stdin was closed and ends the group of processes.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence

_GRACE = 5.0
_POLL = 0.2


@contextlib.contextmanager
def child_process(
    command: Sequence[str], env: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Starts a command, and ends it and what it started.

    Yields:
        The process that watches over the command; it ends when that does, with its exit code.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", __name__, *command],
        stdin=subprocess.PIPE,
        env=env,
        # A group of its own: Ctrl-C reaches the run, which then ends it in order.
        start_new_session=True,
    )
    try:
        yield process
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait()


def main() -> int:
    """Runs the command of the arguments until it ends or stdin is closed."""
    process = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # for the group below; this ends last
    while process.poll() is None:
        if select.select([sys.stdin], [], [], _POLL)[0]:
            break
    os.killpg(0, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE)
    if process.poll() is None:
        os.killpg(0, signal.SIGKILL)
    return process.wait()


if __name__ == "__main__":
    sys.exit(main())
