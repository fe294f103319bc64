"""Pushes models, and moves labels, for ever: `python pusher.py ROOT FACTOR=SAVED_MODEL ...`.

Says on stdout what it begins and what it ended, a line each, so that who kills it knows what the
kill hit.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from pathlib import Path

from serving.config import BatchingConfig, ServeConfig
from serving.operations import OperationRefused, promote, rollback
from serving.version_folders import content_digest, versions
from serving.versions import publish

MODEL_NAME = "scale"


def main(root: Path, models: dict[float, Path]) -> None:
    base = root / MODEL_NAME
    factors = itertools.cycle(models)
    sizes = itertools.cycle(range(1, 60))

    def push(push_to: str) -> None:
        factor = next(factors)
        config = ServeConfig.model_validate(
            {
                "push_to": push_to,
                "batching": BatchingConfig(max_batch_size=next(sizes)),
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


if __name__ == "__main__":
    pairs = (argument.split("=", 1) for argument in sys.argv[2:])
    main(Path(sys.argv[1]), {float(factor): Path(folder) for factor, folder in pairs})
