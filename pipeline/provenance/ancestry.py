"""What an execution came out of: every execution and artifact before it, as a graph."""

from __future__ import annotations

from typing import Any

from pipeline.provenance.records import Artifact, Execution, Records

REFERENCES = ("base_model", "baseline_model", "previous_schema", "previous_statistics")
"""Inputs out of an earlier run's own history: they are named, and not followed."""


def ancestry(records: Records, last: Execution) -> dict[str, Any]:
    """Returns `executions` and `artifacts` in the order in which they were made.

    What an artifact came out of is the execution that made it, in whichever run, rather than those
    that took it from the cache.

    `gone` are the folders of those artifacts that are no longer there.
    """
    executions: dict[int, Execution] = {}
    artifacts: dict[int, tuple[Artifact, int | None]] = {}
    left = [last]
    while left:
        execution = left.pop()
        if execution.id in executions:
            continue
        executions[execution.id] = execution
        for number in (n for numbers in execution.outputs.values() for n in numbers):
            artifacts[number] = (records.artifact(number), execution.id)
        for key, numbers in execution.inputs.items():
            for number in numbers:
                maker = records.maker(number)
                artifacts[number] = (records.artifact(number), maker.id)
                if key not in REFERENCES:
                    left.append(maker)
    return {
        "executions": [_execution(executions[number]) for number in sorted(executions)],
        "artifacts": [_artifact(*artifacts[number]) for number in sorted(artifacts)],
        "gone": sorted({found.uri for found, _ in artifacts.values() if found.is_gone}),
    }


def _execution(found: Execution) -> dict[str, Any]:
    return {
        "id": found.id,
        "node": found.node,
        "run_id": found.run_id,
        "state": found.state,
        "began": found.began.isoformat(timespec="seconds"),
        "ended": found.ended.isoformat(timespec="seconds"),
        "parameters": dict(found.parameters),
        "inputs": {key: list(numbers) for key, numbers in found.inputs.items()},
        "outputs": {key: list(numbers) for key, numbers in found.outputs.items()},
    }


def _artifact(found: Artifact, made_by: int | None) -> dict[str, Any]:
    return {
        "id": found.id,
        "type": found.type,
        "uri": found.uri,
        "made_by": made_by,
        "gone": found.is_gone,
        "properties": dict(found.properties),
    }
