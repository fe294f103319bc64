"""A pipeline's root as runs leave it: real metadata, real folders, and a serving directory."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from ml_metadata.proto import metadata_store_pb2 as mlmd

from components.artifact_types import GATE_VERDICT
from pipeline.collection.books import read_books
from pipeline.collection.plan import Plan, make_plan
from pipeline.collection.served import served_versions
from pipeline.config import RunConfig
from pipeline.config_file import load_config
from pipeline.metadata.opening import open_mlmd
from trainer_module.checkpoint_root import Use, note_use

Ids = Mapping[str, int]
SPLITS = ("train", "eval", "test")


class Site:
    """Runs a pipeline named `digits` that computes nothing: each output is a file of 1,000 bytes.

    The data, and all made of them alone, are those of a span: a run of a span that there was before
    takes them from the cache.
    """

    def __init__(self, config: RunConfig, path: Path) -> None:
        self.config, self.config_path = config, path
        self.root = config.pipeline_root
        (self.root / "runs").mkdir(parents=True, exist_ok=True)
        self.store = open_mlmd(config.metadata, config.pipeline_root)
        self._made: dict[tuple[Any, ...], dict[str, int]] = {}
        self._types: dict[tuple[str, str], int] = {}
        self._artifacts: dict[int, mlmd.Artifact] = {}

    def run(
        self,
        run_id: str,
        span: int = 0,
        seed: int = 0,
        blessed: bool = True,
        version: int | None = None,
        status: str | None = "pushed",
        until: str | None = None,
        base: int | None = None,
        baseline: int | None = None,
        asked: str = "",
    ) -> dict[str, int]:
        """Makes a run; returns the ids of its artifacts by type.

        Args:
            version: pushed into the serving directory; None: none is.
            status: of its summary; None: it was killed and wrote none.
            until: the node that failed.
            base, baseline: the models that it began with, and was compared with.
        """
        found: dict[str, int] = {}

        def node(name: str, inputs: Ids, **outputs: tuple[str, Mapping[str, Any]]) -> bool:
            given = {key: number for key, number in inputs.items() if number is not None}
            if name == until:
                self._put(run_id, name, [], "FAILED")
                return False
            found.update(self._node(run_id, name, given, outputs))
            return True

        ours = {"current_model_id": -1, "blessed": int(blessed)}
        splits = {"split_names": json.dumps(SPLITS), "span": span}
        steps = [
            lambda: node("ExampleGen", {"#span": span}, examples=("Examples", splits)),
            lambda: node(
                "StatisticsGen",
                {"examples": found["Examples"]},
                statistics=("ExampleStatistics", splits),
            ),
            lambda: node(
                "SchemaGen", {"statistics": found["ExampleStatistics"]}, schema=("Schema", {})
            ),
            lambda: node(
                "AnomalyGate",
                {"statistics": found["ExampleStatistics"], "schema": found["Schema"]},
                verdict=(
                    GATE_VERDICT,
                    {
                        "statistics_id": found["ExampleStatistics"],
                        "schema_id": found["Schema"],
                        "scope": "all",
                    },
                ),
            ),
            lambda: node(
                "Transform",
                {"examples": found["Examples"], "schema": found["Schema"]},
                transform_graph=("TransformGraph", {}),
                updated_analyzer_cache=("TransformCache", {}),
            ),
            lambda: node(
                "Trainer",
                {
                    "raw_examples": found["Examples"],
                    "transform_graph": found["TransformGraph"],
                    "base_model": base,
                    "#seed": seed,
                },
                model=("Model", {}),
                model_run=("ModelRun", {}),
            ),
            lambda: node(
                "Evaluator",
                {
                    "examples": found["Examples"],
                    "model": found["Model"],
                    "baseline_model": baseline,
                },
                blessing=("ModelBlessing", ours | {"current_model_id": found["Model"]}),
                evaluation=("ModelEvaluation", {}),
            ),
        ]
        if all(step() for step in steps) and blessed and version is not None:
            self._push(run_id, version, found)
        self._run_folder(run_id, status, asked)
        return found

    def uri(self, number: int) -> Path:
        return Path(self._artifacts[number].uri)

    def state(self, number: int) -> str:
        (artifact,) = self.store.get_artifacts_by_id([number])
        return mlmd.Artifact.State.Name(artifact.state)

    def checkpoints(self, name: str, *executions: int) -> Path:
        """Makes a folder of checkpoints, used by executions."""
        folder = self.root / "checkpoints" / name
        write(folder / "latest" / "ckpt")
        known = read_books(self.store, "digits").executions
        for number in executions:
            note_use(folder, Use(str(number), known[number].run_id))
        return folder

    def look_up(self, run_id: str, node: str, artifact: int) -> None:
        """Makes a resolver of a run find an artifact."""
        event = _event(mlmd.Event.INTERNAL_OUTPUT, "model")
        self._put(run_id, node, [(self._artifacts[artifact], event)], "COMPLETE")

    def lose_books(self) -> Site:
        """Moves the metadata away, as one does with a damaged file; returns the same root."""
        (self.root / "metadata.sqlite").rename(self.root / "metadata.damaged")
        return Site(self.config, self.config_path)

    def trainer(self, run_id: str) -> int:
        """Returns the number of the execution that trained in a run."""
        return max(
            execution.id
            for execution in read_books(self.store, "digits").executions.values()
            if execution.run_id == run_id and execution.node == "Trainer"
        )

    def plan(self, keep_runs: int = 1, older_than: float = 0.0) -> Plan:
        books = read_books(self.store, "digits")
        served = served_versions(books, self.config.model_folder, str(self.config_path))
        return make_plan(self.root, books, served, keep_runs, older_than)

    def _node(self, run_id: str, name: str, inputs: Ids, outputs: Any) -> dict[str, int]:
        key = (name, *sorted(inputs.items()))
        taken = [
            (self._artifacts[number], _event(mlmd.Event.INPUT, input_))
            for input_, number in inputs.items()
            if not input_.startswith("#")
        ]
        if key in self._made:
            again = [
                (self._artifacts[number], _event(mlmd.Event.OUTPUT, output))
                for output, number in self._made[key].items()
            ]
            self._put(run_id, name, [*taken, *again], "CACHED")
        else:
            execution = self._put(run_id, name, taken, "RUNNING")
            made = [
                (self._output(name, kind, output, execution.id, properties), output)
                for output, (kind, properties) in outputs.items()
            ]
            pairs = [(artifact, _event(mlmd.Event.OUTPUT, output)) for artifact, output in made]
            execution = self._put(run_id, name, pairs, "COMPLETE", execution)
            put = self.store.get_events_by_execution_ids([execution.id])
            self._made[key] = {
                event.path.steps[0].key: event.artifact_id
                for event in put
                if event.type == mlmd.Event.OUTPUT
            }
            numbers = list(self._made[key].values())
            for artifact in self.store.get_artifacts_by_id(numbers):
                self._artifacts[artifact.id] = artifact
        made_now = self._made[key].values()
        return {self._artifacts[number].type: number for number in made_now}

    def _output(
        self, node: str, kind: str, key: str, execution: int, properties: Mapping[str, Any]
    ) -> mlmd.Artifact:
        uri = self.root / "artifacts" / node / key / str(execution)
        places = SPLITS if "split_names" in properties else ("",)
        for split in places:
            write(uri / (f"Split-{split}/data" if split else "data"), 1000 // len(places))
        made = mlmd.ArtifactType(name=kind)
        made.properties["split_names"], made.properties["span"] = mlmd.STRING, mlmd.INT
        artifact = mlmd.Artifact(
            type_id=self._type("artifact", kind, made), uri=str(uri), state=mlmd.Artifact.LIVE
        )
        for name, value in properties.items():
            of = artifact.properties if name in made.properties else artifact.custom_properties
            if isinstance(value, int):
                of[name].int_value = value
            else:
                of[name].string_value = value
        return artifact

    def _push(self, run_id: str, version: int, found: Ids) -> None:
        folder = self.config.model_folder / str(version)
        write(folder / "saved_model.pb")
        model = found["Model"]
        manifest = {"model_artifact_id": model, "model_uri": str(self.uri(model))}
        (folder / "assets.extra").mkdir()
        (folder / "assets.extra" / "tapeline.json").write_text(json.dumps(manifest))
        properties = {"pushed": 1, "pushed_destination": str(folder)}
        inputs = {"model": model, "model_blessing": found["ModelBlessing"]}
        self._node(run_id, "Pusher", inputs, {"pushed_model": ("PushedModel", properties)})

    def _put(
        self,
        run_id: str,
        name: str,
        pairs: Sequence[Any],
        state: str,
        execution: mlmd.Execution | None = None,
    ) -> mlmd.Execution:
        """Puts an execution, new or known, as TFX's launcher does."""
        if execution is None:
            type_id = self._type("execution", name, mlmd.ExecutionType(name=name))
            execution = mlmd.Execution(type_id=type_id)
        execution.last_known_state = mlmd.Execution.State.Value(state)
        named = [("pipeline", "digits"), ("pipeline_run", run_id), ("node", f"digits.{name}")]
        contexts = [
            mlmd.Context(type_id=self._type("context", kind, mlmd.ContextType(name=kind)), name=of)
            for kind, of in named
        ]
        execution.id, *_ = self.store.put_execution(
            execution, pairs, contexts, reuse_context_if_already_exist=True
        )
        return execution

    def _run_folder(self, run_id: str, status: str | None, asked: str) -> None:
        folder = self.root / "runs" / run_id
        folder.mkdir()
        (folder / "config.yaml").write_text(asked)
        (folder / "run.json").write_text(json.dumps({"working_directory": "/"}))
        if status is not None:
            (folder / "summary.json").write_text(json.dumps({"status": status}))

    def _type(self, of: str, name: str, proto: Any) -> int:
        if (of, name) not in self._types:
            self._types[of, name] = getattr(self.store, f"put_{of}_type")(proto)
        return self._types[of, name]


def _event(kind: int, key: str) -> mlmd.Event:
    event = mlmd.Event(type=kind)
    event.path.steps.add().key = key
    event.path.steps.add().index = 0
    return event


def write(path: Path, size: int = 1000) -> Path:
    """Writes a file of so many bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"." * size)
    return path


def disk_bytes(folder: Path) -> int:
    """Returns the bytes of all files, each counted once however many names it has."""
    found = {}
    for place, _, names in os.walk(folder):
        for name in names:
            status = Path(place, name).lstat()
            found[status.st_ino] = status.st_size
    return sum(found.values())


@pytest.fixture
def site(write_config, tmp_path: Path) -> Site:
    path = write_config({"root": str(tmp_path / "runs")})
    return Site(load_config(str(path)), path)
