"""Pushes models in turn, and moves labels, until it is killed; then again from the start.

    python pusher.py ROOT

Each line on stdin, `FACTOR=SAVED_MODEL ...`, has a process forked that does so: it says its pid,
what it begins and what it ended, a line each, so that who kills it knows what the kill hit. `status
N` follows, with the code that it ended with. Forked, it need not import everything anew.
"""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable
from pathlib import Path

from serving.config import BatchingConfig, ServeConfig
from serving.operations import OperationRefused, promote, rollback
from serving.version_folders import content_digest, versions
from serving.versions import publish

MODEL_NAME = "scale"


def push_for_ever(root: Path, models: dict[float, Path]) -> None:
    base = root / MODEL_NAME
    factors = itertools.cycle(models)

    def push(push_to: str) -> None:
        factor = next(factors)
        config = ServeConfig.model_validate(
            {
                "push_to": push_to,
                # By the model: other parameters for the same one make warmup requests anew,
                # which takes TensorFlow and longer than all else.
                "batching": BatchingConfig(max_batch_size=int(factor)),
                "model_config_file_poll_wait_seconds": 0.0,
            }
        )
        manifest = {"factor": factor}
        publish(models[factor], root, MODEL_NAME, config, manifest, check=content_digest)

    steps: dict[str, Callable[[], object]] = {
        "push": lambda: push("stable"),
        "push again": lambda: push("stable"),
        "rollback": lambda: rollback(base, poll_seconds=0.0),
        "push after rollback": lambda: push("stable"),
        "push a canary": lambda: push("canary"),
        "promote": lambda: promote(base, versions(base)[-1], "stable", poll_seconds=0.0),
    }
    for name, step in itertools.cycle(steps.items()):
        print(f"begin {name}", flush=True)
        try:
            step()
        except OperationRefused as refusal:  # such as a rollback of the first version
            print(f"refused {refusal}", flush=True)
        print(f"end {name}", flush=True)


def main(root: Path) -> None:
    for line in sys.stdin:
        pairs = (argument.split("=", 1) for argument in line.split())
        models = {float(factor): Path(folder) for factor, folder in pairs}
        pid = os.fork()
        if pid == 0:
            print(f"pid {os.getpid()}", flush=True)
            push_for_ever(root, models)
        _, status = os.waitpid(pid, 0)
        print(f"status {os.waitstatus_to_exitcode(status)}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
