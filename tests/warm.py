"""Runs `tapeline` by forking a process that has imported TFX: seconds saved at each command.

Reads one JSON request a line and, when the command has ended, answers with one:
    {"arguments": [...], "cwd": PATH, "env": {...}, "stdin": PATH, "stdout": PATH, "stderr": PATH}
    -> {"code": the exit code as subprocess has it}

Only other people's modules are imported before the fork: the project's own come from where the
command's folder and PYTHONPATH say. What is forked has its own memory, lock files, output and exit
code as any process; what it shares with others is the seed of Python's hashes.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import runpy
import signal
import sys
from typing import Any

_IMPORTED = (
    "tensorflow",
    "tf_keras",
    "apache_beam.runners.portability.fn_api_runner",
    "tensorflow_data_validation",
    "tensorflow_model_analysis",
    "tensorflow_serving.apis.prediction_log_pb2",
    "tensorflow_transform.beam",
    "tfx.components",
    "tfx.orchestration.beam.beam_dag_runner",
)
_OWN = ("pipeline", "components", "trainer_module", "serving")
_PR_SET_PDEATHSIG = 1


def become(request: dict[str, Any], path: list[str]) -> None:
    """Turns this process, just forked, into the command."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.dup2(os.open(request["stdin"], os.O_RDONLY), 0)
    for target, name in enumerate(("stdout", "stderr"), start=1):
        os.dup2(os.open(request[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), target)
    sys.stdin = os.fdopen(0)  # the old one may hold what was meant for the parent
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:] = [request["cwd"], *filter(None, given), *path]
    sys.argv = ["tapeline", *request["arguments"]]
    runpy.run_module("pipeline.cli", run_name="__main__", alter_sys=True)


def main() -> None:
    os.environ["TF_USE_LEGACY_KERAS"] = "1"  # as `trainer_module` does before TensorFlow
    for name in _IMPORTED:
        importlib.import_module(name)
    assert not set(_OWN) & set(sys.modules)
    gc.collect()
    gc.freeze()
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    path = [folder for folder in sys.path[1:] if folder not in given]
    while line := sys.stdin.readline():
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            become(request, path)
            return
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(json.dumps({"code": code}), flush=True)


if __name__ == "__main__":
    main()
