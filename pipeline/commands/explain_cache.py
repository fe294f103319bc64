"""`tapeline explain-cache`: why each node of a run ran again, or did not."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.commands.arguments import Root, Run
from pipeline.config_file import ConfigError, Problem
from pipeline.run_folder import find_run, run_config

if TYPE_CHECKING:
    from pipeline.provenance.reasons import Answer
    from pipeline.report import Node


def explain_cache(
    run: Run = None,
    root: Root = Path("runs"),
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a node.")] = False,
) -> None:
    """Say why each node of a run ran again, or came from the cache.

    A node is compared with the last time before that it succeeded: its parameters, the hash of its
    source code among them, and its inputs, followed to the node where the change begins.

    Example: tapeline explain-cache
    """
    from pipeline.provenance.reasons import SKIPPED, Answer, Reason, explain
    from pipeline.provenance.records import open_records

    run_dir = find_run(run, root)
    with open_records(run_config(run_dir)) as records:
        answers = explain(records, run_dir.name, _settings(run_dir.parent))
    answers += [
        Answer(node.name, SKIPPED, None, [Reason(SKIPPED, "its condition is false")])
        for node in _nodes(run_dir)
        if node.state == SKIPPED
    ]
    if not answers:
        found = f"{run_dir}, of which the metadata know nothing"
        raise ConfigError(Problem("explain-cache", "RUN", found, "a run that came to a node"))
    if as_json:
        for answer in answers:
            print(json.dumps({"run_id": run_dir.name, **dataclasses.asdict(answer)}))
        return
    print(f"{run_dir.parent.parent.name}  run {run_dir.name}")
    for line in [line for answer in answers for line in _lines(answer)]:
        print(line)


def _nodes(run_dir: Path) -> Sequence[Node]:
    """Returns a run's nodes by its summary: ML Metadata know none that was skipped."""
    from pipeline.report import read_summary

    summary = read_summary(run_dir)
    return summary.nodes if summary else ()


def _settings(runs: Path) -> Callable[[str], Mapping[str, Any]]:
    """Returns what gives the configuration of a run by its id, as plain JSON."""

    @functools.cache
    def of_run(run_id: str) -> Mapping[str, Any]:
        try:
            return run_config(runs / run_id).model_dump(mode="json")
        except ConfigError:
            # Removed since, or of another release.
            return {}

    return of_run


def _lines(answer: Answer) -> list[str]:
    head = f"{answer.node:<18} {answer.state:<10}"
    if answer.state == "cached":
        return [f"{head} as run {answer.against} made it"]
    if not answer.reasons:
        return [head.rstrip()]
    first, *others = answer.reasons
    against = f"  (against run {answer.against})" if answer.against else ""
    return [
        f"{head} {first.text}{against}",
        *(f"{'':<18} {'':<10} {reason.text}" for reason in others),
    ]
