"""Starts trainings by forking a process that has imported TensorFlow: seconds saved at each start.

Reads one JSON request a line and answers with one:
    {"start": [ARGUMENTS], "log": PATH, "env": {...}, "network": null or NAMESPACE} -> {"pid": PID}
    {"poll": PID} -> {"code": null, or the exit code as subprocess has it}

The arguments are those of `python`: a script's path and its arguments, or `-m trainer_module` and
its own. What is forked is a process like any other: it can be killed, and dies with this one.
"""

from __future__ import annotations

import ctypes
import json
import os
import runpy
import sys
from pathlib import Path

import trainer_module.__main__ as entry
from trainer_module.cluster import end_with

import trainer_module.callbacks  # isort: skip
import trainer_module.loop  # isort: skip
import trainer_module.tasks.digits  # noqa: F401  isort: skip


CLONE_NEWNET = 0x40000000


def become(request: dict, parent: int) -> None:
    """Turns this process, just forked, into what the request asks for."""
    with Path(request["log"]).open("ab") as log, Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    os.environ.update(request["env"])
    if request["network"]:
        with Path("/run/netns", request["network"]).open() as namespace:
            moved = ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET)
        if moved != 0:
            raise OSError(ctypes.get_errno(), f"setns {request['network']}")
    end_with(parent)
    arguments = request["start"]
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        entry.app()
    else:
        sys.argv = arguments
        runpy.run_path(arguments[0], run_name="__main__")


def poll(pid: int) -> int | None:
    found, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if found else None


def main() -> None:
    me = os.getpid()
    print(json.dumps({"ready": me}), flush=True)
    while line := sys.stdin.readline():
        request = json.loads(line)
        if "start" in request:
            pid = os.fork()
            if pid == 0:
                become(request, me)
                return
            answer = {"pid": pid}
        else:
            answer = {"code": poll(request["poll"])}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
