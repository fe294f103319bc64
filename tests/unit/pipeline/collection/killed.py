"""Collects in processes that are killed with -9 at a point that is named, each forked from here.

Reads `{"config": PATH, "point": NAME}` a line, and answers with the signal that ended the process.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ml_metadata.metadata_store import MetadataStore

from pipeline.collection.collect import collect
from pipeline.config_file import load_config


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def before(call: Callable[..., Any], number: int = 1) -> Callable[..., Any]:
    """Returns a function that dies instead of the call of that number."""
    calls = []

    def killed(*arguments: Any, **keys: Any) -> Any:
        calls.append(1)
        if len(calls) == number:
            die()
        return call(*arguments, **keys)

    return killed


def after(call: Callable[..., Any]) -> Callable[..., Any]:
    def killed(*arguments: Any, **keys: Any) -> None:
        call(*arguments, **keys)
        die()

    return killed


def half_removed(is_here: Callable[[Path], bool]) -> Callable[[Path], None]:
    """Returns a removal that dies in the midst of the first folder that is asked for."""

    def remove(folder: Path) -> None:
        if not is_here(folder):
            _rmtree(folder)
            return
        first = min(folder.iterdir())
        first.unlink() if first.is_file() else _rmtree(first)
        die()

    return remove


_rmtree = shutil.rmtree


def plant(point: str) -> None:
    if point == "before the books are told":
        MetadataStore.put_artifacts = before(MetadataStore.put_artifacts)
    elif point == "after the books are told":
        MetadataStore.put_artifacts = after(MetadataStore.put_artifacts)
    elif point == "between two renames":
        os.rename = before(os.rename, number=2)
    elif point == "while a leftover is removed":
        shutil.rmtree = half_removed(lambda folder: folder.name == ".system")
    elif point == "while a run is removed":
        shutil.rmtree = half_removed(lambda folder: (folder / "run.json").exists())
    elif point == "while an artifact is removed":
        shutil.rmtree = half_removed(lambda folder: folder.parents[2].name == "artifacts")


def main() -> None:
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            plant(request["point"])
            collect(load_config(request["config"]), request["config"], 1, 0.0, 0.0)
            os._exit(0)
        print(os.WTERMSIG(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
