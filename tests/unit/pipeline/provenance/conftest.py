"""A real metadata store, filled by hand, of a pipeline whose nodes run in no time."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from ml_metadata.proto import metadata_store_pb2 as mlmd

from pipeline.config import RunConfig
from pipeline.config_file import load_config
from pipeline.metadata.opening import open_mlmd
from pipeline.provenance.records import RESOLVER

_STATES = mlmd.Execution.State


class Books:
    """Writes executions as TFX's launcher does, of a pipeline named `digits`
    unless another is given.
    """

    def __init__(self, config: RunConfig) -> None:
        self.config = config
        self.root = config.pipeline_root
        self.root.mkdir(parents=True)
        self._store = open_mlmd(config.metadata, config.pipeline_root)
        self._types: dict[tuple[str, str], int] = {}
        self._artifacts: dict[int, mlmd.Artifact] = {}
        self._made = 0

    def artifact(self, kind: str, uri: str | None = None, **properties: Any) -> int:
        """Puts an artifact; its folder is made, unless it is given."""
        self._made += 1
        folder = self.root / "artifacts" / "node" / kind / str(self._made)
        artifact = mlmd.Artifact(
            type_id=self._type("artifact", kind, mlmd.ArtifactType(name=kind)),
            state=mlmd.Artifact.LIVE,
            uri=uri or str(folder),
        )
        _set(artifact.custom_properties, properties)
        if uri is None:
            folder.mkdir(parents=True)
        (artifact.id,) = self._store.put_artifacts([artifact])
        self._artifacts[artifact.id] = artifact
        return artifact.id

    def uri(self, number: int) -> str:
        return self._artifacts[number].uri

    def ran(
        self,
        run: str,
        node: str,
        inputs: Mapping[str, Sequence[int]] | None = None,
        outputs: Mapping[str, Sequence[int]] | None = None,
        key: str | None = None,
        state: str = "COMPLETE",
        looked_up: Mapping[str, Sequence[int]] | None = None,
        pipeline: str = "digits",
        **parameters: Any,
    ) -> int:
        """Puts an execution of a node in a run; `key` is what the cache knows it by."""
        name = RESOLVER if looked_up is not None else f"components.{node}"
        type_id = self._type("execution", name, mlmd.ExecutionType(name=name))
        execution = mlmd.Execution(type_id=type_id, last_known_state=_STATES.Value(state))
        _set(execution.custom_properties, parameters)
        names = [("pipeline", pipeline), ("pipeline_run", run), ("node", f"{pipeline}.{node}")]
        if key:
            names.append(("execution_cache", key))
        pairs = [
            (self._artifacts[artifact], _event(kind, step, place))
            for kind, given in (
                (mlmd.Event.INPUT, inputs),
                (mlmd.Event.OUTPUT, outputs),
                (mlmd.Event.INTERNAL_OUTPUT, looked_up),
            )
            for step, artifacts in (given or {}).items()
            for place, artifact in enumerate(artifacts)
        ]
        contexts = [self._context(*name) for name in names]
        number, *_ = self._store.put_execution(
            execution, pairs, contexts, reuse_context_if_already_exist=True
        )
        return number

    def run_folder(self, run: str, **changes: Any) -> Path:
        """Makes the folder of a run with its configuration."""
        folder = self.root / "runs" / run
        folder.mkdir(parents=True)
        values = {**self.config.model_dump(mode="json"), "root": "elsewhere", **changes}
        (folder / "config.yaml").write_text(yaml.safe_dump(values))
        return folder

    def _context(self, kind: str, name: str) -> mlmd.Context:
        type_id = self._type("context", kind, mlmd.ContextType(name=kind))
        return mlmd.Context(type_id=type_id, name=name)

    def _type(self, of: str, name: str, proto: Any) -> int:
        if (of, name) not in self._types:
            self._types[of, name] = getattr(self._store, f"put_{of}_type")(proto)
        return self._types[of, name]


@pytest.fixture
def make_books(write_config, tmp_path: Path) -> Callable[[Mapping[str, Any]], Books]:
    """Makes the store of the ready configuration with some keys changed."""

    def make(changes: Mapping[str, Any]) -> Books:
        path = write_config({"root": str(tmp_path / "runs"), **changes})
        return Books(load_config(str(path)))

    return make


@pytest.fixture
def books(make_books) -> Books:
    return make_books({})


def _event(kind: int, key: str, place: int) -> mlmd.Event:
    event = mlmd.Event(type=kind)
    event.path.steps.add().key = key
    event.path.steps.add().index = place
    return event


def _set(properties: Any, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if isinstance(value, int):
            properties[name].int_value = value
        else:
            text = value if isinstance(value, str) else json.dumps(value)
            properties[name].string_value = text
