"""Where artifacts lie: the metadata hold the paths of the day, and a root may be moved since."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from pipeline.collection.books import Artifact, Books, State
from pipeline.config_file import ConfigError, Problem

ARTIFACTS = "artifacts"
"""Folder under a pipeline's root, of `<node>/<output>/<number of the execution>`."""

_DEPTH = 3


def check_root(root: Path, books: Books, source: str) -> None:
    """Checks that the artifacts of the metadata are those of a root.

    Args:
        source: of the root, for messages.

    Raises:
        ConfigError: if some lie in another one: it was moved, or another machine calls it so.
    """
    recorded = [a.uri for a in books.artifacts.values() if a.state in (State.LIVE, State.GONE)]
    roots = Counter(old for old in map(_root_of, recorded) if old is not None)
    others = {old: count for old, count in roots.items() if not _is_same(root, old)}
    if others:
        old, count = max(others.items(), key=lambda item: item[1])
        found = f"{root}, while {count} artifacts of the metadata lie in {old}"
        allowed = f"the root that the runs had; if it was moved, a link from {old} to it"
        raise ConfigError(Problem(source, "root", found, allowed))


def published(root: Path, books: Books) -> dict[Path, list[Artifact]]:
    """Returns the artifacts that were published under a root, by whichever name it had then.

    By their folders, whether these are there or not.
    """
    found: dict[Path, list[Artifact]] = {}
    is_same: dict[Path, bool] = {}
    for artifact in books.artifacts.values():
        old = _root_of(artifact.uri)
        if old is None or artifact.state is State.PENDING:
            continue
        if old not in is_same:
            is_same[old] = _is_same(root, old)
        if is_same[old]:
            found.setdefault(root / Path(artifact.uri).relative_to(old), []).append(artifact)
    return found


class NeededPlaces:
    """Folders that something needs, whatever path leads there.

    Args:
        uris: of what is needed, and what for.
    """

    def __init__(self, uris: Iterable[tuple[str, Sequence[str]]]) -> None:
        self._whys: dict[str, list[str]] = {}
        for uri, whys in uris:
            if "://" not in uri:
                self._whys.setdefault(os.path.realpath(uri), []).extend(whys)
        self._above = {str(above) for place in self._whys for above in Path(place).parents}

    def whys(self, folder: Path) -> list[str]:
        """Returns what a folder, or what lies in it, or what it lies in, is needed for."""
        real = Path(os.path.realpath(folder))
        found = [why for place in (real, *real.parents) for why in self._whys.get(str(place), ())]
        if str(real) in self._above:
            found.append("what lies in it")
        return list(dict.fromkeys(found))


def _root_of(uri: str) -> Path | None:
    """Returns the root that an artifact was written under; None if it is no output of a node."""
    parts = Path(uri).parts
    if "://" in uri:
        return None
    for place in range(len(parts) - _DEPTH - 1, -1, -1):
        if parts[place] == ARTIFACTS and parts[place + _DEPTH].isdecimal():
            return Path(*parts[:place])
    return None


def _is_same(root: Path, other: Path) -> bool:
    return os.path.realpath(root) == os.path.realpath(other)
