"""Writes tuned parameters into a serving directory, for servers that are started from then on."""

from __future__ import annotations

from pathlib import Path

from serving.atomic_files import exclusive, replace_text
from serving.config import BatchingConfig
from serving.text_configs import BATCHING_FILE, MODELS_FILE, VERSION_BATCHING_FILE, batching_text
from serving.version_batching import set_batching


def write_parameters(version: Path, config: BatchingConfig) -> list[Path]:
    """Writes the parameters of a version, and the server's if it is in a serving directory.

    Each file is replaced at once, and the version can be loaded between any two of them.

    Returns:
        What was written.
    """
    version = version.resolve()
    root = version.parent.parent
    with exclusive(root):
        set_batching(version, config)
        written = [version / VERSION_BATCHING_FILE]
        if (root / MODELS_FILE).is_file():
            # Gives what a version has no parameters of its own for: the number of threads.
            replace_text(root / BATCHING_FILE, batching_text(config))
            written.append(root / BATCHING_FILE)
    return written
