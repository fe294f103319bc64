"""The batching parameters of a served version, and the warmup requests that go with them."""

from __future__ import annotations

from pathlib import Path

from google.protobuf import text_format
from pydantic import ValidationError

from serving.atomic_files import replace_text, sync_folder
from serving.config import BatchingConfig
from serving.text_configs import VERSION_BATCHING_FILE, batching_text, parse_batching
from serving.version_folders import WARMUP_FILE

# Kept free of TensorFlow at import: most pushes change no parameters.


def set_batching(version: Path, batching: BatchingConfig) -> None:
    """Gives a version other batching parameters; one that has these already is left alone.

    A warmup request larger than the parameters allow keeps TF Serving from loading the version.
    There is none at any instant, whatever is killed when: only those that fit before and after
    are left while the parameters change. A mark beside the parameters says that these are not yet
    all the requests there are to be, so that the next call makes up for one that was killed. The
    caller holds the lock of the serving directory.
    """
    path, text = version / VERSION_BATCHING_FILE, batching_text(batching)
    unfinished = path.with_name(f".{path.name}.unfinished")
    if path.is_file() and path.read_text(encoding="utf-8") == text and not unfinished.exists():
        return
    from serving.warmup import warmup_sizes, write_warmup_requests

    warmup = version / WARMUP_FILE
    sizes = warmup_sizes(batching)
    if not warmup.is_file():
        replace_text(path, text)
        return
    unfinished.touch()
    sync_folder(version)
    before = _largest_batch(path)
    write_warmup_requests(version, warmup, [size for size in sizes if size <= before] or [1])
    replace_text(path, text)
    write_warmup_requests(version, warmup, sizes)
    unfinished.unlink()
    sync_folder(version)


def _largest_batch(path: Path) -> int:
    """Returns the most rows that a parameters file allows; 1 where that is not known."""
    try:
        return parse_batching(path.read_text(encoding="utf-8")).max_batch_size
    except (OSError, UnicodeDecodeError, text_format.ParseError, ValidationError):
        return 1
