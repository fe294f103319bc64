"""What may be freed of a pipeline's root, and why the rest is kept."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.collection.books import Artifact, Books, State
from pipeline.collection.folders import TRASH, Sizes, is_inside, newest_change
from pipeline.collection.needs import Needs, ServedVersion, needs, runs_behind
from pipeline.collection.places import ARTIFACTS, NeededPlaces, published
from pipeline.collection.runs import Run, find_runs, kept_runs
from trainer_module.checkpoint_root import INPUT_CACHE, Use, used_by

ARTIFACT, CHECKPOINTS, INPUT, RUN = "artifacts", "checkpoints", "input cache", "run folders"
LEFTOVERS = "leftovers"
KINDS = (ARTIFACT, CHECKPOINTS, INPUT, RUN, LEFTOVERS)

_TOO_NEW = "newer than --older-than"


@dataclass(frozen=True)
class Folder:
    """A folder, or a file, that is freed or kept.

    Attributes:
        artifacts: ids of what lies there.
        why: it is kept; [] if it is freed.
        bytes: that removing it frees.
    """

    kind: str
    path: Path
    artifacts: Sequence[int] = ()
    why: Sequence[str] = field(default=())
    bytes: int = 0


@dataclass(frozen=True)
class Plan:
    """What is freed, and what is kept."""

    freed: Sequence[Folder]
    kept: Sequence[Folder]

    @property
    def bytes(self) -> int:
        return sum(folder.bytes for folder in self.freed)


def make_plan(
    root: Path,
    books: Books,
    served: Sequence[ServedVersion],
    keep_runs: int,
    older_than: float = 0.0,
) -> Plan:
    """Decides; changes nothing.

    Args:
        root: the pipeline's folder.
        served: every version that there is.
        keep_runs: how many of the newest runs are kept whole.
        older_than: seconds that something must have been left alone for.
    """
    runs = find_runs(root / "runs", books.runs)
    kept = kept_runs(runs, keep_runs)
    needed = needs(books, served, kept)
    artifacts = published(root, books)
    found = [
        *_artifacts(root, artifacts, needed),
        *_leftovers(root, books, artifacts, kept),
        *_checkpoints(root, books, runs, kept, keep_runs),
        *_run_folders(runs, kept, runs_behind(books, needed)),
    ]
    places = _needed_places(books, served, needed)
    deadline = time.time() - older_than
    decided = [
        _if_old(_if_needed(folder, places), deadline)
        for folder in found
        if is_inside(root, folder.path)
    ]
    return Plan(
        _with_bytes([folder for folder in decided if not folder.why]),
        [folder for folder in decided if folder.why],
    )


def _artifacts(
    root: Path, artifacts: Mapping[Path, Sequence[Artifact]], needed: Needs
) -> Iterator[Folder]:
    """Yields the folders of what was put out, and what is left of those that are not whole."""
    for path, found in artifacts.items():
        if not path.exists() or not is_inside(root / ARTIFACTS, path):
            continue
        if all(artifact.state is State.FREED for artifact in found):
            yield Folder(LEFTOVERS, path)
            continue
        ids = [artifact.id for artifact in found]
        why = [text for number in ids for text in needed.get(number, ())]
        yield Folder(ARTIFACT, path, ids, list(dict.fromkeys(why)))


def _leftovers(
    root: Path,
    books: Books,
    artifacts: Mapping[Path, Sequence[Artifact]],
    kept: Mapping[str, str],
) -> Iterator[Folder]:
    """Yields what executions wrote and never published, and what an earlier collection left."""
    # Of the others the metadata know the folders; what they know nothing of may be another's.
    unfinished = {
        (found.node, str(found.id)): found
        for found in books.executions.values()
        if not found.is_finished
    }
    for node in _inner(root / ARTIFACTS):
        for output in _inner(node):
            if output.name == ".system":
                yield Folder(LEFTOVERS, output)
                continue
            for path in _inner(output):
                execution = unfinished.get((node.name, path.name))
                if execution is not None and path not in artifacts:
                    why = kept.get(execution.run_id)
                    yield Folder(LEFTOVERS, path, why=[why] if why is not None else [])
    for trash in (root, root / "checkpoints", root / "runs"):
        if (trash / TRASH).is_dir():
            yield Folder(LEFTOVERS, trash / TRASH)


def _checkpoints(
    root: Path, books: Books, runs: Sequence[Run], kept: Mapping[str, str], keep_runs: int
) -> Iterator[Folder]:
    began = min((run.began for run in runs[:keep_runs]), default=0.0)
    oldest = min((run.began for run in runs if run.run_id in kept), default=0.0)
    for path in _inner(root / "checkpoints"):
        if path.name == TRASH:
            continue
        if path.name == INPUT_CACHE:
            recent = f"changed since the oldest of the newest {keep_runs} runs began"
            for cached in sorted(path.iterdir()):
                why = [recent] if newest_change(cached) >= began else []
                yield Folder(INPUT, cached, why=why)
            continue
        uses = used_by(path)
        why = [kept[run_id] for run_id in _runs_of(books, uses) if run_id in kept]
        # A number alone may be one of an earlier store.
        is_known = bool(uses) and all(use.run_id is not None for use in uses)
        if not is_known and not why and newest_change(path) >= oldest:
            why = ["changed since the oldest run that is kept began"]
        yield Folder(CHECKPOINTS, path, why=list(dict.fromkeys(why)))


def _runs_of(books: Books, uses: Sequence[Use]) -> list[str]:
    """Returns the runs that trained, and those that got the same from the cache."""
    found = [use.run_id for use in uses if use.run_id is not None]
    for use in uses:
        execution = books.executions.get(int(use.execution)) if use.execution.isdecimal() else None
        if execution is not None and use.run_id in (None, execution.run_id):
            outputs = [number for ids in execution.outputs.values() for number in ids]
            found += [execution.run_id]
            found += [maker.run_id for output in outputs for maker in books.makers(output)]
    return found


def _run_folders(
    runs: Sequence[Run], kept: Mapping[str, str], behind: Mapping[str, Sequence[str]]
) -> Iterator[Folder]:
    for run in runs:
        if run.folder is not None:
            own = [kept[run.run_id]] if run.run_id in kept else []
            why = list(dict.fromkeys([*own, *behind.get(run.run_id, ())]))
            yield Folder(RUN, run.folder, why=why)


def _inner(folder: Path) -> list[Path]:
    """Returns the folders in a folder; links to some are none."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.is_symlink())


def _needed_places(books: Books, served: Sequence[ServedVersion], needed: Needs) -> NeededPlaces:
    """Returns where that lies which is needed, also by versions that the metadata do not know."""
    known = [(books.artifacts[number], whys) for number, whys in needed.items()]
    return NeededPlaces(
        [
            *((found.uri, whys) for found, whys in known if found.state is not State.FREED),
            *((one.uri, [f"version {one.version}"]) for one in served if one.uri is not None),
        ]
    )


def _if_needed(folder: Folder, places: NeededPlaces) -> Folder:
    why = folder.why or places.whys(folder.path)
    return Folder(folder.kind, folder.path, folder.artifacts, why)


def _if_old(folder: Folder, deadline: float) -> Folder:
    if folder.why or folder.path.name == TRASH or newest_change(folder.path) <= deadline:
        return folder
    return Folder(folder.kind, folder.path, folder.artifacts, [_TOO_NEW])


def _with_bytes(folders: Iterable[Folder]) -> list[Folder]:
    listed, sizes = list(folders), Sizes()
    for folder in listed:
        sizes.add(folder.path)
    freed = sizes.freed()
    return [
        Folder(folder.kind, folder.path, folder.artifacts, bytes=freed.get(folder.path, 0))
        for folder in listed
    ]
