"""Which artifacts are needed, and for what: by versions, blessed models, accepted data and runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from components.anomaly_gate.strategy import SCHEMA_ID, SCOPE, STATISTICS_ID
from components.artifact_types import GATE_VERDICT
from pipeline.collection.books import Artifact, Books, Execution
from pipeline.provenance.ancestry import REFERENCES

Needs = dict[int, list[str]]
"""What each artifact is needed for, by its id."""

_ABOUT_DATA = ("ExampleAnomalies", GATE_VERDICT)


@dataclass(frozen=True)
class ServedVersion:
    """A version of a serving directory.

    Attributes:
        artifact, uri: of the model, as the manifest has it; None if it does not say.
        pushed: ids of the models that were pushed as this version, as the metadata have it.
    """

    version: int
    artifact: int | None
    uri: str | None
    pushed: Sequence[int] = ()


def needs(books: Books, served: Sequence[ServedVersion], runs: Mapping[str, str]) -> Needs:
    """Returns the artifacts that are needed.

    Args:
        served: every version that there is, since each can be rolled back to.
        runs: why a run is kept, by its id.
    """
    found: Needs = {}
    for version in served:
        for model in _models_of(books, version):
            _add(found, _of_model(books, model), f"version {version.version}")
    for place, model in enumerate(_blessed(books)[:2]):
        why = "the baseline of the last blessed model" if place else "the last blessed model"
        _add(found, _of_model(books, model), why)
    _add(found, _accepted_data(books), "the last accepted data")
    for run_id, why in runs.items():
        for execution in books.executions.values():
            if execution.run_id == run_id:
                # A run that is resumed does not look up again what its resolvers found.
                events = (execution.inputs, execution.outputs, execution.looked_up)
                ids = [number for keys in events for number in _ids(keys.values())]
                _add(found, _with_siblings(books, ids), why)
    return found


def runs_behind(books: Books, needed: Needs) -> dict[str, list[str]]:
    """Returns what runs are needed for, by their ids.

    Of each needed artifact the run that made it, and the last to have it from the cache: the one
    tells how it was made, and by the other's configuration it is looked at again.
    """
    found: dict[str, list[str]] = {}
    for artifact, reasons in needed.items():
        makers = sorted(maker.id for maker in books.makers(artifact) if maker.is_finished)
        for maker in {*makers[:1], *makers[-1:]}:
            whys = found.setdefault(books.executions[maker].run_id, [])
            whys += [why for why in reasons if why not in whys]
    return found


def _models_of(books: Books, version: ServedVersion) -> Sequence[int]:
    by_id = books.artifacts.get(version.artifact or 0)
    if by_id is not None and by_id.uri == version.uri:
        return [by_id.id]
    known = [artifact.id for artifact in books.live("Model") if artifact.uri == version.uri]
    return known[-1:] or version.pushed


def _blessed(books: Books) -> list[int]:
    """Returns the blessed models that there are, the last one first, as the resolvers see them."""
    blessed = {
        blessing.properties.get("current_model_id")
        for blessing in books.live("ModelBlessing")
        if blessing.properties.get("blessed") == 1
    }
    return [model.id for model in reversed(books.live("Model")) if model.id in blessed]


def _accepted_data(books: Books) -> set[int]:
    """Returns the data that the next ones are held to: by span, and by when they came.

    Those of each scope: the ones of a trial are not what all the data are compared with.
    """
    statistics = {artifact.id: artifact for artifact in books.live("ExampleStatistics")}
    by_scope: dict[str, list[Artifact]] = {}
    for verdict in books.live(GATE_VERDICT):
        if verdict.properties.get(STATISTICS_ID) in statistics:
            by_scope.setdefault(str(verdict.properties.get(SCOPE)), []).append(verdict)

    def came(verdict: Artifact) -> tuple[int, int]:
        return int(verdict.properties[STATISTICS_ID]), verdict.id

    def span(verdict: Artifact) -> tuple[int, int, int]:
        of = statistics[verdict.properties[STATISTICS_ID]].properties.get("span")
        return (int(of or 0), *came(verdict))

    chosen = [max(verdicts, key=key) for verdicts in by_scope.values() for key in (came, span)]
    ids = [
        int(number)
        for verdict in chosen
        for number in (verdict.id, *map(verdict.properties.get, (STATISTICS_ID, SCHEMA_ID)))
        if number is not None
    ]
    return _with_siblings(books, ids)


def _of_model(books: Books, model: int) -> set[int]:
    """Returns what a model was made of, and what was found out about it and about its data."""
    found = _made_of(books, [model])
    for execution in books.users(model, "model"):
        found |= _made_of(books, _ids(execution.outputs.values()))
    about = [
        artifact
        for statistics in [a for a in found if books.artifacts[a].type == "ExampleStatistics"]
        for execution in books.users(statistics)
        for artifact in _ids(execution.outputs.values())
        if books.artifacts[artifact].type in _ABOUT_DATA
    ]
    return _with_siblings(books, [*found, *about])


def _made_of(books: Books, artifacts: Iterable[int]) -> set[int]:
    """Returns artifacts and all that they were made of, but for references to others.

    A chain of these has no end: each night begins with the model of the night before.
    """
    found: set[int] = set()
    left = list(artifacts)
    while left:
        artifact = left.pop()
        if artifact in found or artifact not in books.artifacts:
            continue
        found.add(artifact)
        for maker in books.makers(artifact):
            left += _ids(ids for key, ids in maker.inputs.items() if key not in REFERENCES)
    return found


def _with_siblings(books: Books, artifacts: Iterable[int]) -> set[int]:
    """Returns artifacts and the others of the same executions: the cache gives all or none."""
    found = {artifact for artifact in artifacts if artifact in books.artifacts}
    makers: list[Execution] = [maker for one in found for maker in books.makers(one)]
    return found | {artifact for maker in makers for artifact in _ids(maker.outputs.values())}


def _add(needed: Needs, artifacts: Iterable[int], why: str) -> None:
    for artifact in artifacts:
        whys = needed.setdefault(artifact, [])
        if why not in whys:
            whys.append(why)


def _ids(values: Iterable[tuple[int, ...]]) -> Iterator[int]:
    for ids in values:
        yield from ids
