"""Executes a compiled pipeline without a cluster: every container's command, as a process.

It does what Kubeflow's drivers and launchers do around a container, and no more: orders the tasks,
resolves inputs, evaluates conditions, gives each task its ExecutorInput, and reads what it puts
out. In open-source mode artifacts have URIs of an object store; the launcher's work, copying them
to local folders and back, is done by copying between two folders. It is no cluster: images, pods,
volumes, retries and permissions are not emulated.
"""

from __future__ import annotations

import copy
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Json = dict[str, Any]

DONE, FAILED, SKIPPED = "done", "failed", "skipped"
_STOCK = "tfx.orchestration.kubeflow.v2.container.kubeflow_v2_run_executor"
_CONDITION = re.compile(
    r"\(inputs\.artifacts\['([^']+)'\]\.artifacts\[0\]\.metadata\['([^']+)'\] == ([0-9.]+)\)"
)
_SCHEMES = {"minio": "minio", "s3": "s3", "gs": "gcs"}


@dataclass
class Run:
    """What came of a run: the state of each task, its outputs, and what it printed."""

    states: dict[str, str] = field(default_factory=dict)
    artifacts: dict[str, dict[str, list[Json]]] = field(default_factory=dict)
    logs: dict[str, str] = field(default_factory=dict)


@dataclass
class Emulator:
    """Runs a PipelineSpec.

    Attributes:
        spec: the PipelineSpec.
        root: URI under which artifacts are, such as `minio://bucket/root`.
        folder: of all that the emulation keeps.
        open_source: types of input artifacts get lost, hooks are not run, artifacts are staged
            from an object store for each task and uploaded after it.
        environment: of the containers, besides this process'.
        commands: replaces the command of a task's container, by task.
        stock: runs TFX's own entrypoint in place of the pipeline's.
    """

    spec: Json
    root: str
    folder: Path
    open_source: bool
    environment: Mapping[str, str] = field(default_factory=dict)
    commands: Mapping[str, list[str]] = field(default_factory=dict)
    stock: bool = False

    def run(
        self,
        parameters: Mapping[str, Any] | None = None,
        given: Run | None = None,
        only: Collection[str] | None = None,
    ) -> Run:
        """Runs the tasks in their order, each once what it depends on is done.

        Args:
            parameters: of the run, over their defaults.
            given: a run whose tasks stand for those that are not in `only`.
            only: the tasks that run; None: all.
        """
        definitions = self.spec["root"].get("inputDefinitions", {}).get("parameters", {})
        values = {name: found["defaultValue"] for name, found in definitions.items()}
        values |= parameters or {}
        tasks, run = self.spec["root"]["dag"]["tasks"], Run()
        run_id = uuid.uuid4().hex[:8]
        for name in set() if only is None else tasks.keys() - set(only):
            run.states[name] = given.states[name] if given else SKIPPED
            run.artifacts[name] = given.artifacts.get(name, {}) if given else {}
        while waiting := [name for name in sorted(tasks) if name not in run.states]:
            name = next(n for n in waiting if _dependencies(tasks[n]) <= run.states.keys())
            if any(run.states[other] != DONE for other in _dependencies(tasks[name])):
                run.states[name] = SKIPPED
                continue
            self._run_task(name, tasks[name], values, run, run_id)
        return run

    def _run_task(self, name: str, task: Json, values: Json, run: Run, run_id: str) -> None:
        component = self.spec["components"][task["componentRef"]["name"]]
        container = self.spec["deploymentSpec"]["executors"][component["executorLabel"]][
            "container"
        ]
        staging = self.folder / "staging"
        if self.open_source:
            shutil.rmtree(staging, ignore_errors=True)  # each task has a pod of its own
        executor_input = self._executor_input(name, task, component, values, run, run_id)
        if not _holds(task.get("triggerPolicy", {}).get("condition", ""), executor_input):
            run.states[name] = SKIPPED
            return
        if self.open_source:
            self._download(executor_input)
        hook = container.get("lifecycle", {}).get("preCacheCheck")
        if hook and not self.open_source:
            if not self._execute(name, [*hook["command"], *hook["args"]], executor_input, run):
                return
            told = json.loads(self._output_file(executor_input).read_text())
            _merge(executor_input["outputs"]["artifacts"], told.get("artifacts", {}))
        command = self.commands.get(name, container["command"])
        if self.stock:
            command = [command[0], "-m", _STOCK]
        if not self._execute(name, [*command, *container["args"]], executor_input, run):
            return
        output = self._output_file(executor_input)
        told = json.loads(output.read_text()) if output.exists() else {}
        made = executor_input["outputs"].get("artifacts", {})
        _merge(made, told.get("artifacts", {}))
        if self.open_source:
            self._upload(made)
        run.artifacts[name] = {key: found["artifacts"] for key, found in made.items()}
        run.states[name] = DONE

    def _executor_input(
        self, name: str, task: Json, component: Json, values: Json, run: Run, run_id: str
    ) -> Json:
        inputs: Json = {"parameterValues": {}, "artifacts": {}}
        for key, source in task.get("inputs", {}).get("parameters", {}).items():
            if "componentInputParameter" in source:
                inputs["parameterValues"][key] = values[source["componentInputParameter"]]
            else:
                inputs["parameterValues"][key] = source["runtimeValue"]["constant"]
        for key, source in task.get("inputs", {}).get("artifacts", {}).items():
            producer = source["taskOutputArtifact"]
            found = run.artifacts[producer["producerTask"]][producer["outputArtifactKey"]]
            found = copy.deepcopy(found)
            for artifact in found:
                if self.open_source:
                    artifact["type"] = {"instanceSchema": ""}
            inputs["artifacts"][key] = {"artifacts": found}
        task_root = f"{self.root}/{self.spec['pipelineInfo']['name']}/{run_id}/{name}"
        output = component.get("outputDefinitions", {}).get("artifacts", {})
        outputs: Json = {"artifacts": {}}
        for key, definition in output.items():
            artifact = {
                "name": f"projects/emulated/artifacts/{uuid.uuid4().hex}",
                "type": definition["artifactType"],
                "uri": f"{task_root}/{key}",
                "metadata": {},
            }
            outputs["artifacts"][key] = {"artifacts": [artifact]}
        # The launcher's output file is local to the pod; Vertex' is in the bucket.
        local = self.folder / "pods" / run_id / name / "kfp_outputs" / "output_metadata.json"
        remote = f"{task_root}_{uuid.uuid4().int % 10**8}/executor_output.json"
        outputs["outputFile"] = str(local) if self.open_source else remote
        return {"inputs": inputs, "outputs": outputs}

    def _execute(self, name: str, command: list[str], executor_input: Json, run: Run) -> bool:
        """Runs a command in a process group of its own; returns whether it went well."""
        words = [word.replace("{{$}}", json.dumps(executor_input)) for word in command]
        words[0] = sys.executable if words[0] == "python" else words[0]
        environment = {**os.environ, "TAPELINE_STAGING_ROOT": str(self.folder / "staging")}
        process = subprocess.Popen(
            words,
            env={**environment, **self.environment},
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            log, _ = process.communicate(timeout=600)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        run.logs[name] = run.logs.get(name, "") + log
        if process.returncode:
            run.states[name] = FAILED
        return process.returncode == 0

    def _output_file(self, executor_input: Json) -> Path:
        path = executor_input["outputs"]["outputFile"]
        return Path(path) if self.open_source else self.local(path, "staging")

    def local(self, uri: str, where: str) -> Path:
        """Returns the path of an object in the `store`, or as it is staged."""
        scheme, _, rest = uri.partition("://")
        return self.folder / where / _SCHEMES[scheme] / rest

    def _download(self, executor_input: Json) -> None:
        for found in executor_input["inputs"]["artifacts"].values():
            for artifact in found["artifacts"]:
                stored = self.local(artifact["uri"], "store")
                if stored.exists():
                    staged = self.local(artifact["uri"], "staging")
                    shutil.copytree(stored, staged, dirs_exist_ok=True)

    def _upload(self, artifacts: Json) -> None:
        for found in artifacts.values():
            for artifact in found["artifacts"]:
                staged = self.local(artifact["uri"], "staging")
                # An object store knows no empty folder.
                for path in staged.rglob("*"):
                    if path.is_file():
                        stored = self.local(artifact["uri"], "store") / path.relative_to(staged)
                        stored.parent.mkdir(parents=True, exist_ok=True)
                        shutil.copyfile(path, stored)


def _dependencies(task: Json) -> set[str]:
    artifacts = task.get("inputs", {}).get("artifacts", {}).values()
    producers = {source["taskOutputArtifact"]["producerTask"] for source in artifacts}
    return producers | set(task.get("dependentTasks", []))


def _holds(condition: str, executor_input: Json) -> bool:
    """Evaluates the conditions that TFX's compiler makes of a property; no other CEL."""
    for part in filter(None, condition.split(" && ")):
        match = _CONDITION.fullmatch(part)
        assert match, f"not emulated: {part}"
        key, name, value = match.groups()
        (artifact,) = executor_input["inputs"]["artifacts"][key]["artifacts"]
        if artifact["metadata"][name] != float(value):
            return False
    return True


def _merge(artifacts: Json, told: Json) -> None:
    """Adds what a container said of its outputs, as the launcher does: no types, no names."""
    for key, found in told.items():
        for artifact, news in zip(artifacts[key]["artifacts"], found["artifacts"], strict=True):
            artifact["uri"] = news.get("uri") or artifact["uri"]
            artifact["metadata"] |= news.get("metadata", {})
