"""Why a node or a run failed, in the words of who has to mend it.

A fault of the machine reaches a run in many forms: as Python's error, as TensorFlow's, as ML
Metadata's, and as text, where a worker of Beam sent it. What it is about is told the same way each
time. All else is told by its type and its own text.
"""

from __future__ import annotations

import contextlib
import errno
import fnmatch
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.example_gen.source import DataError
from pipeline.beam.dead_workers import LOST
from pipeline.disk import room_at
from pipeline.metadata.config import SQLITE_FILE, SqliteConfig
from pipeline.metadata.errors import MetadataError
from pipeline.metadata.opening import metadata_cause
from pipeline.runners.memory import memory_limit

if TYPE_CHECKING:
    from pipeline.config import RunConfig

_LONGEST = 300

_FULL = re.compile(r"No space left on device|database or disk is full")
_SQLITE = "database or disk is full"
_QUOTA = re.compile(r"[Dd]isk quota exceeded")
_READ_ONLY = re.compile(r"Read-only file system")
_FORBIDDEN = re.compile(r"Permission denied|Operation not permitted")
_MISSING = re.compile(r"No such file or directory")
_UNPICKLABLE = re.compile(
    r"[Cc]an(not|'t)( \(safely\))? pickle|[Uu]nable to pickle|Can't get (local )?attribute"
)
_NOT_FOUND_BY_WORKER = re.compile(r"No module named '[\w.]+'")
_NO_MEMORY = re.compile(
    r"\bMemoryError\b|bad_alloc|OOM when allocating|[Oo]ut of memory|Cannot allocate memory|"
    r"[Ff]ailed to allocate memory"
)
_KILLED = re.compile(
    r"\bSIGKILL\b|(return code|exit code|exit status|ended with code) (-9|137)\b|" + LOST
)
_ON_GPU = re.compile(r"device:GPU")

_WRITTEN = ("root", "serve.root", "monitor.prometheus")
"""Keys of what a run writes: where a file is missing there, no user can put it back."""

_PATHS = (
    # Python's, also where it comes as text.
    re.compile(r"\[Errno \d+\] [^'\"\n]*: '([^'\n]+)'"),
    # TensorFlow's.
    re.compile(r"(/[^\s;:'\"]+)(?:'|\")?; (?:No |Read-|Permission |Disk |Operation )"),
)


def cause_of(error: BaseException, config: RunConfig) -> str:
    """Returns why a node or a run failed, in one line unless it is about the data."""
    if isinstance(error, DataError):
        return str(error)
    return (
        _disk_cause(error, config)
        or _read_only_cause(error, config)
        or _metadata_cause(error, config)
        or _rights_cause(error)
        or _missing_cause(error, config)
        or _memory_cause(error)
        or _pickle_cause(error)
        or one_line(error)
    )


def one_line(error: BaseException) -> str:
    """Returns the innermost cause of an error in one line."""
    *_, innermost = _causes(error)
    lines = [line.strip() for line in str(innermost).splitlines() if line.strip()]
    text = lines[0] if lines else "no message"
    # TensorFlow opens the errors of traced functions so, and says what is wrong at the end; so
    # does Beam those of its workers.
    if text == "in user code:" or text.startswith("Traceback (most recent call last)"):
        text = lines[-1]
    return f"{type(innermost).__name__}: {_shortened(text)}"


def _disk_cause(error: BaseException, config: RunConfig) -> str | None:
    for found in _all(error):
        text = str(found)
        number = getattr(found, "errno", None)
        if _is_of_server(found, config):
            continue
        if number == errno.EDQUOT or _QUOTA.search(text):
            path = _path_in(found) or _writes(config)[0]
            return f"disk full: the quota of this user is used up, and {path} needs more: free some"
        if number == errno.ENOSPC or _FULL.search(text):
            file = config.pipeline_root / SQLITE_FILE if _SQLITE in text else None
            return _full_text(_path_in(found) or file, config)
        if "No usable temporary directory found" in text:
            return (
                "disk full, or not writable: no folder for temporary files in "
                f"{text.split(' in ')[-1].strip('[]')}: free some, or set TMPDIR to another"
            )
    return None


def _is_of_server(error: BaseException, config: RunConfig) -> bool:
    """Returns whether a database server said it, whose disks are not those of this machine."""
    of_store = isinstance(error, MetadataError) or type(error).__module__.startswith("ml_metadata")
    return of_store and not isinstance(config.metadata, SqliteConfig)


def _full_text(path: Path | None, config: RunConfig) -> str:
    """Tells of a full disk: of the one that a path is on, or of the fullest that a run uses."""
    rooms = []
    for place in [path] if path is not None else _writes(config):
        try:
            rooms.append(room_at(place))
        except OSError:
            continue
    if not rooms:
        return f"disk full: no room for {path}: free some"
    wanted = f", too little for {path}" if path is not None else ""
    return f"disk full: {min(rooms, key=lambda room: room.free)}{wanted}: free some"


def _read_only_cause(error: BaseException, config: RunConfig) -> str | None:
    for found in _all(error):
        if getattr(found, "errno", None) == errno.EROFS or _READ_ONLY.search(str(found)):
            path = _path_in(found)
            if path is None:
                shut = [place for place in _writes(config) if not os.access(place, os.W_OK)]
                path = shut[0] if shut else _writes(config)[0]
            return f"read-only: {path}, whose file system cannot be written: mount it writable"
    return None


def _metadata_cause(error: BaseException, config: RunConfig) -> str | None:
    found = metadata_cause(error, config)
    return None if found is None else str(found)


def _rights_cause(error: BaseException) -> str | None:
    for found in _causes(error):
        number = getattr(found, "errno", None)
        if number in (errno.EACCES, errno.EPERM) or _FORBIDDEN.search(str(found)):
            path = _path_in(found)
            if path is not None:
                verb = "read" if path.is_file() and not os.access(path, os.R_OK) else "written"
                return f"no permission: {path} cannot be {verb} by this user: mend its rights"
    return None


def _missing_cause(error: BaseException, config: RunConfig) -> str | None:
    """Tells of a file that is gone, if a key of the configuration or a node put it there."""
    for found in _causes(error):
        if getattr(found, "errno", None) == errno.ENOENT or _MISSING.search(str(found)):
            path = _path_in(found)
            if path is None or path.exists():
                continue
            artifacts = config.pipeline_root / "artifacts"
            if path.is_relative_to(artifacts):
                folder = artifacts.joinpath(*path.relative_to(artifacts).parts[:3])
                gone = f"missing: {path}, which {folder.relative_to(artifacts).parts[0]} had made"
                if folder.exists():
                    return f"{gone}: remove {folder}, and the same run makes all of it again"
                return f"{gone}: the same run makes it again"
            for key, value in _texts(config.model_dump(mode="json"), ""):
                if key not in _WRITTEN and _names(value, path):
                    return f"missing: {path} ({key}): put it back"
    return None


def _memory_cause(error: BaseException) -> str | None:
    advice = "a smaller train.batch_size, or fewer beam.workers, takes less"
    for found in _causes(error):
        text = str(found)
        if (
            isinstance(found, MemoryError)
            or getattr(found, "errno", None) == errno.ENOMEM
            or _NO_MEMORY.search(text)
        ):
            has = "the GPU has no more" if _ON_GPU.search(text) else memory_limit()
            return f"out of memory ({has}): {one_line(found)}; {advice}"
        if getattr(found, "returncode", None) in (-9, 137) or _KILLED.search(text):
            return (
                f"a process was killed, most likely for want of memory ({memory_limit()}): "
                f"{one_line(found)}; {advice}"
            )
    return None


def _pickle_cause(error: BaseException) -> str | None:
    advice = (
        "what Beam sends to its workers must be found by a dotted path, in a module that they can "
        "import, and hold no lock, open file or session"
    )
    for found in _causes(error):
        text = str(found)
        match = _UNPICKLABLE.search(text)
        if match is None and "pickle" in text:
            match = _NOT_FOUND_BY_WORKER.search(text)
        if match:
            begin = text.rfind("\n", 0, match.start()) + 1
            return f"not to be pickled: {_shortened(text[begin:].splitlines()[0])}; {advice}"
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yields an error and what it was raised from, the innermost last."""
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        yield found
        found = found.__cause__


def _all(error: BaseException) -> Iterator[BaseException]:
    """Yields an error, what it was raised from, and what was being handled meanwhile.

    A disk that is full fails what tells of it, too: what is raised last is of no matter.
    """
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        found = waiting.pop()
        if found is not None and id(found) not in seen:
            seen.add(id(found))
            yield found
            waiting += [found.__context__, found.__cause__]


def _path_in(error: BaseException) -> Path | None:
    """Returns the path that an error is about, if it says one."""
    name = getattr(error, "filename", None)
    if isinstance(name, (str, bytes)) and name:
        return Path(os.path.abspath(os.fsdecode(name)))
    for pattern in _PATHS:
        match = pattern.search(str(error))
        if match:
            return Path(os.path.abspath(match[1]))
    return None


def _writes(config: RunConfig) -> list[Path]:
    """Returns where a run writes."""
    places = [config.pipeline_root, config.serving_root]
    with contextlib.suppress(FileNotFoundError):  # what it returns it has tried out
        places.append(Path(tempfile.gettempdir()))
    return places


def _texts(value: Any, key: str) -> Iterator[tuple[str, str]]:
    """Yields the texts of a configuration with their keys."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _texts(inner, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _texts(inner, f"{key}.{index}")


def _names(value: str, path: Path) -> bool:
    """Returns whether a value of the configuration names a path, its folder, or a glob of it."""
    if "/" not in value and "." not in value:
        return False
    named = os.path.abspath(os.path.expanduser(value))
    folders = [str(path), *map(str, path.parents[:-1])]
    return any(folder == named or fnmatch.fnmatch(folder, named) for folder in folders)


def _shortened(text: str) -> str:
    text = text.strip()
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
