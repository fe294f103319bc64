"""Writes tuned parameters into a serving directory, for servers that are started from then on."""

from __future__ import annotations

from pathlib import Path

from serving.atomic_files import exclusive, replace_text
from serving.config import BatchingConfig
from serving.text_configs import (
    BATCHING_FILE,
    MODELS_FILE,
    VERSION_BATCHING_FILE,
    batching_text,
    parse_batching,
)


def write_parameters(version: Path, config: BatchingConfig) -> list[Path]:
    """Writes the parameters of a version, and the server's if it is in a serving directory.

    The version's warmup requests become one for each of the new sizes. Each file is replaced at
    once; a version that is loaded between two of them loads.

    Returns:
        What was written.
    """
    from serving.warmup import WARMUP_FILE, write_warmup_requests

    version = version.resolve()
    model, root = version.parent.name, version.parent.parent
    own, shared, warmup = (
        version / VERSION_BATCHING_FILE,
        root / BATCHING_FILE,
        version / WARMUP_FILE,
    )
    text = batching_text(config)
    with exclusive(root):

        def write_own() -> None:
            replace_text(own, text)

        def write_warmup() -> None:
            write_warmup_requests(version, warmup, model, config)

        # No warmup request may ever be larger than the largest batch: the load would fail.
        grows = not own.is_file() or _largest(own) <= config.max_batch_size
        for write in (write_own, write_warmup) if grows else (write_warmup, write_own):
            write()
        written = [own, warmup]
        if (root / MODELS_FILE).is_file():
            # Holds for what no version has of its own: the number of threads.
            replace_text(shared, text)
            written.append(shared)
    return written


def _largest(path: Path) -> int:
    return parse_batching(path.read_text()).max_batch_size
