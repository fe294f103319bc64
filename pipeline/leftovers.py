"""What a killed process leaves: executions that run for ever in the books, and half of an artifact.

Whoever calls this holds the pipeline's root, so that nothing of other runs is running, whatever the
books say.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ml_metadata.metadata_store import ListOptions
from ml_metadata.proto import metadata_store_pb2

_Execution = metadata_store_pb2.Execution
_UNFINISHED = "last_known_state = RUNNING OR last_known_state = NEW"
_SYSTEM = ".system"
"""TFX's folder beside the outputs of a node: what its drivers and executors need while they run."""

KILLED = "killed"
"""Property of an execution that never ended, and was ended in the books."""


def clean_up(store: Any, pipeline: str, artifacts: Path, run_id: str) -> list[str]:
    """Ends what killed runs of a pipeline left; returns the nodes.

    Args:
        store: an open ML Metadata store.
        artifacts: the folder of the nodes' outputs.
        run_id: of the run that holds the root, whose own nodes are left alone: they may be running
            in other processes, and each is cleaned up after when it is tried again.
    """
    context = store.get_context_by_type_and_name("pipeline", pipeline)
    if context is None:
        return []
    left = store.get_executions_by_context(context.id, ListOptions(filter_query=_UNFINISHED))
    found, ended = set(), []
    for execution in left:
        contexts = {
            context.type: context.name for context in store.get_contexts_by_execution(execution.id)
        }
        if contexts.get("pipeline_run") == run_id:
            continue
        node = contexts["node"].removeprefix(f"{pipeline}.")
        found.add(node)
        remove_outputs(artifacts / node, execution.id)
        execution.last_known_state = _Execution.FAILED
        execution.custom_properties[KILLED].int_value = 1
        ended.append(execution)
    if ended:
        store.put_executions(ended)
    return sorted(found)


def remove_outputs(node_folder: Path, execution_id: int) -> None:
    """Removes what an execution wrote and never published."""
    for pattern in (f"*/{execution_id}", f"{_SYSTEM}/*/{execution_id}"):
        for folder in node_folder.glob(pattern):
            shutil.rmtree(folder)


def remove_stale_outputs(outputs: Iterable[Path], execution_id: int) -> None:
    """Empties the place of what an execution is about to write, where others left something.

    Args:
        outputs: what it will put out; only folders of its own, named by its id, are touched.
    """
    for output in outputs:
        if output.name == str(execution_id) and output.is_dir():
            shutil.rmtree(output)


def remove_system(node_folder: Path) -> None:
    """Removes what TFX needs of a node only while it runs; nobody runs it."""
    shutil.rmtree(node_folder / _SYSTEM, ignore_errors=True)
