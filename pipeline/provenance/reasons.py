"""Why each node of a run did or did not run again.

TFX takes a node's outputs from the cache if its pipeline, its id, its executor with the engine's
arguments, its input artifacts and its parameters are those of an execution that succeeded, and
the outputs of that one are still there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.provenance.differences import ABSENT, Difference, differences, shortened
from pipeline.provenance.records import CACHED, COMPLETE, FAILED, Execution, Records

NEVER_CACHED = ("Pusher",)
"""Nodes that depend on more than the cache knows."""

FIRST, OFF, NEVER, GONE = "first", "caching_off", "never_cached", "outputs_gone"
SKIPPED = "skipped"
INPUT, PARAMETER, ENGINE, OTHER = "input", "parameter", "engine", "other"

_MEANING = {
    "code": "the source changed",
    "fingerprint": "the data changed",
    "digest": "the schema file changed",
}
"""What a change of a hash says, by the last part of its key."""

_CANDIDATE = "candidate"
"""What a resolver of ours hands on as it got it."""


@dataclass(frozen=True)
class Reason:
    """One reason why a node ran.

    Attributes:
        kind: one of the constants above.
        key: of the input or the parameter.
        before, now: plain JSON; None where there is nothing.
        node: that made, or looked up, the input.
        text: the reason in words.
    """

    kind: str
    text: str
    key: str | None = None
    before: Any = None
    now: Any = None
    node: str | None = None


@dataclass(frozen=True)
class Answer:
    """What became of a node in a run, and why.

    Attributes:
        state: `cached`, `ran`, `failed`, `unfinished`, `skipped`, or `looked up` of a resolver.
        against: the run that it is compared with; of a cached node the one that made its outputs.
        reasons: none of a node that was cached or only looks something up.
    """

    node: str
    state: str
    against: str | None
    reasons: Sequence[Reason]


def explain(
    records: Records, run_id: str, settings: Callable[[str], Mapping[str, Any]]
) -> list[Answer]:
    """Returns an answer for each node that the run came to, in the order in which they ran.

    Args:
        settings: returns the configuration of a run by its id, {} if it is not known any more:
            whether caching was on, and the engine.
    """
    executions = records.of_run(run_id)
    answers: dict[str, Answer] = {}
    for execution in executions:
        answers[execution.node] = _answer(records, execution, executions, answers, settings)
    return list(answers.values())


def _answer(
    records: Records,
    execution: Execution,
    run: Sequence[Execution],
    answers: Mapping[str, Answer],
    settings: Callable[[str], Mapping[str, Any]],
) -> Answer:
    node = execution.node
    if execution.is_lookup:
        return Answer(node, "looked up", None, ())
    if execution.state == CACHED:
        made = [number for numbers in execution.outputs.values() for number in numbers]
        return Answer(node, "cached", records.maker(made[0]).run_id if made else None, ())
    state = {COMPLETE: "ran", FAILED: "failed"}.get(execution.state, "unfinished")
    if node in NEVER_CACHED:
        text = "never cached: it compares the model with what is served"
        return Answer(node, state, None, [Reason(NEVER, text)])
    before = _last_success(records, execution)
    if before is None:
        return Answer(node, state, None, [Reason(FIRST, "no earlier run of it succeeded")])
    own = settings(execution.run_id)
    if own.get("cache") is False:
        # That its inputs are others then says nothing.
        off = Reason(OFF, "caching is off in this run")
        return Answer(node, state, before.run_id, [off, *_parameters(before, execution)])
    same = _same(records, execution)
    if same:
        return Answer(node, state, same[-1].run_id, _gone(records, same[-1]))
    changes = [
        *_parameters(before, execution),
        *_inputs(records, before, execution, run, answers),
    ] or _engine(settings(before.run_id), own)
    return Answer(node, state, before.run_id, changes)


def _last_success(records: Records, execution: Execution) -> Execution | None:
    earlier = [
        found
        for found in records.of_node(execution.node)
        if found.id < execution.id and found.succeeded
    ]
    return earlier[-1] if earlier else None


def _same(records: Records, execution: Execution) -> list[Execution]:
    """Returns the earlier executions whose outputs the cache would have taken."""
    if execution.cache_key is None:
        return []
    found = records.of_cache_key(execution.cache_key)
    return [other for other in found if other.id < execution.id and other.succeeded]


def _gone(records: Records, same: Execution) -> list[Reason]:
    outputs = [records.artifact(n) for numbers in same.outputs.values() for n in numbers]
    gone = [artifact.uri for artifact in outputs if artifact.is_gone]
    if not gone:
        text = f"the outputs of run {same.run_id} could not be used again when it began"
        return [Reason(GONE, text)]
    text = f"the outputs of run {same.run_id} are gone: {', '.join(gone)}"
    return [Reason(GONE, text, before=gone)]


def _parameters(before: Execution, now: Execution) -> list[Reason]:
    return [
        Reason(PARAMETER, _told(found), found.key, _plain(found.before), _plain(found.now))
        for found in differences(dict(before.parameters), dict(now.parameters))
    ]


def _told(found: Difference) -> str:
    values = f"{shortened(found.before)} before, {shortened(found.now)} now"
    meaning = _MEANING.get(found.key.rpartition(".")[2])
    return f"{found.key}: {meaning} ({values})" if meaning else f"{found.key}: {values}"


def _plain(value: Any) -> Any:
    return None if value is ABSENT else value


def _inputs(
    records: Records,
    before: Execution,
    now: Execution,
    run: Sequence[Execution],
    answers: Mapping[str, Answer],
) -> Iterator[Reason]:
    for key in sorted({*before.inputs, *now.inputs}):
        old, new = before.inputs.get(key, ()), now.inputs.get(key, ())
        if old == new:
            continue
        node, text = _origin(records, new, run, answers) if new else (None, "there is none now")
        was = _made_in(records, old) if old else "there was none"
        text = f"input {key}: {text}; before, {was}"
        yield Reason(INPUT, text, key, list(old), list(new), node)


def _origin(
    records: Records,
    numbers: Sequence[int],
    run: Sequence[Execution],
    answers: Mapping[str, Answer],
) -> tuple[str | None, str]:
    """Returns the node of the run that an input comes from, and in words what it did."""
    for execution in run:
        if not set(numbers) & {n for found in execution.outputs.values() for n in found}:
            continue
        node = execution.node
        if execution.state == CACHED:
            return node, f"{node} took that of run {answers[node].against} from the cache"
        cause = _cause(answers, node)
        return node, f"{node} made another" + (f", since {cause}" if cause else "")
    for execution in run:
        found = [
            n for key, found in execution.looked_up.items() if key != _CANDIDATE for n in found
        ]
        if set(numbers) & set(found):
            return execution.node, f"{execution.node} found {_made_in(records, numbers)}"
    return None, _made_in(records, numbers)


def _cause(answers: Mapping[str, Answer], node: str) -> str:
    """Returns what made a node run, followed up to where it begins."""
    reasons = answers[node].reasons
    own = [reason for reason in reasons if reason.kind != INPUT]
    if own:
        more = f", and {len(own) - 1} more" if len(own) > 1 else ""
        first = f"{own[0].key} differs" if own[0].key else own[0].text
        return f"{first}{more}"
    makers = [reason.node for reason in reasons if reason.node and reason.node in answers]
    return f"{makers[0]} ran: {_cause(answers, makers[0])}" if makers else ""


def _made_in(records: Records, numbers: Sequence[int]) -> str:
    artifact, maker = records.artifact(numbers[0]), records.maker(numbers[0])
    return f"{artifact.type} {artifact.id} of run {maker.run_id}"


def _engine(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Reason]:
    """Returns how the engines of two runs differ, which the metadata do not tell."""
    found = differences({"beam": before.get("beam")}, {"beam": now.get("beam")})
    if before and now and found:
        return [
            Reason(ENGINE, _told(one), one.key, _plain(one.before), _plain(one.now))
            for one in found
        ]
    text = "nothing on record differs: its executor, or the engine's arguments, must"
    return [Reason(OTHER, text)]
