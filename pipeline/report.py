"""The summary of a run: what was read, trained, evaluated, decided and pushed."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.artifact_types import GATE_VERDICT, LITE_MODELS
from components.json_values import finite
from pipeline.events import RUN_BEGIN, read_events
from pipeline.run_folder import began_at
from serving.atomic_files import replace_text

if TYPE_CHECKING:
    from pipeline.config import RunConfig
    from pipeline.lineage import Lineage
    from trainer_module.tasks.base import Task

PUSHED, CACHED, NOT_BLESSED, FAILED = "pushed", "cached", "not_blessed", "failed"
STOPPED, ANOMALIES, CHECKED = "stopped", "anomalies", "checked"
UNENDED = "interrupted"
"""Of a run that left no summary: it was killed, or is still going."""

STATUSES = (PUSHED, CACHED, NOT_BLESSED, FAILED, STOPPED, ANOMALIES, CHECKED, UNENDED)

SUMMARY_FILE = "summary.json"


@dataclass(frozen=True)
class Node:
    """A node of a run.

    Attributes:
        state: done, cached, earlier (before the run was resumed), skipped, failed or stopped.
        seconds: its wall time.
    """

    name: str
    state: str
    seconds: float


@dataclass(frozen=True)
class Summary:
    """One run, as `--json` prints it and `summary.json` in the run's folder keeps it."""

    status: str
    run_id: str
    run_dir: str
    servable: str | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    slices: dict[str, dict[str, float]] = field(default_factory=dict)
    blessing: dict[str, Any] | None = None
    rows: dict[str, int] = field(default_factory=dict)
    quarantined: dict[str, Any] | None = None
    training: dict[str, Any] | None = None
    lite: dict[str, Any] | None = None
    anomalies: dict[str, Any] | None = None
    nodes: list[Node] = field(default_factory=list)
    seconds: float = 0.0
    error: dict[str, str] | None = None

    def to_json(self) -> str:
        """Returns the summary as one line of JSON; what is not finite is null there."""
        return json.dumps(finite(asdict(self)), allow_nan=False)

    def write(self) -> None:
        """Writes `summary.json` into the run's folder, whole or not at all."""
        replace_text(Path(self.run_dir, SUMMARY_FILE), self.to_json() + "\n")


def summarize(
    config: RunConfig, task: Task, run_id: str, run_dir: Path, nodes: list[Node], seconds: float
) -> Summary:
    """Reads the metadata and the artifacts of a run whose nodes all ended well.

    Nodes that only push a blessed model have no outputs where the model was not blessed.
    """
    from components.evaluator.results import load_measurements
    from components.evaluator.verdict import checks
    from components.statistics import row_counts

    with open_lineage(config, run_id) as lineage:
        examples = lineage.output("ExampleGen", "Examples")
        statistics = lineage.output("StatisticsGen", "ExampleStatistics")
        model_run = lineage.output("Trainer", "ModelRun")
        evaluation = lineage.output("Evaluator", "ModelEvaluation")
        blessing = lineage.output("Evaluator", "ModelBlessing")
        blessed = bool(blessing.custom_properties["blessed"].int_value)
        pushed = lineage.output("Pusher", "PushedModel") if blessed else None
        exports = blessed and config.lite
        lite = lineage.output("TFLiteExport", LITE_MODELS) if exports else None
        verdict = lineage.output("AnomalyGate", GATE_VERDICT)

    candidate, baseline = load_measurements(evaluation.uri, task)
    held = checks(config.evaluate, candidate, baseline)
    is_new = pushed is not None and bool(pushed.custom_properties["is_new"].int_value)
    deciding = [check.text for check in held if check.passed == blessed]
    return Summary(
        status=NOT_BLESSED if pushed is None else PUSHED if is_new else CACHED,
        run_id=run_id,
        run_dir=str(run_dir),
        servable=pushed and pushed.custom_properties["pushed_destination"].string_value,
        metrics=candidate.overall,
        slices=candidate.slices,
        blessing={
            "blessed": blessed,
            "reason": "; ".join(deciding) or f"TFMA's validation in {evaluation.uri}",
            "baseline": baseline.overall if baseline else None,
        },
        rows=row_counts(statistics.uri),
        quarantined=_quarantined(examples.uri),
        training=_training(model_run.uri, config),
        lite=_lite(lite.uri) if lite else None,
        anomalies=_verdict(verdict.uri),
        nodes=nodes,
        seconds=seconds,
    )


def _quarantined(examples_uri: str) -> dict[str, Any] | None:
    """Returns how many rows were put aside, where, and the first of them; None if none were."""
    from components.example_gen.intake import QUARANTINE, read_intake

    intake = read_intake(examples_uri)
    if intake is None or not intake.bad:
        return None
    folder = os.path.join(examples_uri, QUARANTINE)
    return {"rows": intake.bad, "folder": folder, "first": list(intake.first_bad)}


def summarize_check(
    config: RunConfig, run_id: str, run_dir: Path, nodes: list[Node], seconds: float
) -> Summary:
    """Reads the same of a run that went as far as the gate, and through it."""
    from components.statistics import row_counts

    with open_lineage(config, run_id) as lineage:
        statistics = lineage.output("StatisticsGen", "ExampleStatistics")
        verdict = lineage.output("AnomalyGate", GATE_VERDICT)
    return Summary(
        status=CHECKED,
        run_id=run_id,
        run_dir=str(run_dir),
        rows=row_counts(statistics.uri),
        anomalies=_verdict(verdict.uri),
        nodes=nodes,
        seconds=seconds,
    )


@contextlib.contextmanager
def open_lineage(config: RunConfig, run_id: str) -> Iterator[Lineage]:
    """Opens the pipeline's metadata for what they know of a run."""
    from pipeline.lineage import Lineage
    from pipeline.metadata.store import open_store

    with open_store(config, read_only=True) as handle:
        yield Lineage(handle.store, config.name, run_id)


def _verdict(uri: str) -> dict[str, Any]:
    """Returns what the gate found and let through."""
    verdict: dict[str, Any] = json.loads(Path(uri, "verdict.json").read_text(encoding="utf-8"))
    return verdict


def _training(model_run_uri: str, config: RunConfig) -> dict[str, Any]:
    """Returns the epochs trained, and the epoch that was exported with its eval metrics."""
    lines = Path(model_run_uri, "history.jsonl").read_text(encoding="utf-8").splitlines()
    epochs = [json.loads(line) for line in lines]
    sign = 1.0 if config.train.best.mode == "min" else -1.0
    best = min(epochs, key=lambda epoch: sign * epoch["eval"][config.train.best.metric])
    return {
        "epochs": len(epochs),
        "steps": epochs[-1]["step"],
        "best_epoch": best["epoch"],
        "eval": best["eval"],
    }


def _lite(uri: str) -> dict[str, Any] | None:
    """Returns the folder of the TF Lite files and the verdicts; None if nothing was exported."""
    report = Path(uri, "lite.json")
    if not report.is_file():
        return None
    found = json.loads(report.read_text(encoding="utf-8"))
    keys = ("size", "ratio", "comparison", "metrics", "latency_ms", "refusal")
    variants = {item["variant"]: {key: item[key] for key in keys} for item in found["variants"]}
    return {"folder": uri, "variants": variants}


def past_runs(root: Path) -> list[dict[str, Any]]:
    """Returns the runs of every pipeline under `root`, oldest first, as their summaries say."""
    found = []
    for folder in filter(Path.is_dir, root.glob("*/runs/*")):
        try:
            began = began_at(folder)
        except FileNotFoundError:
            # `tapeline gc` removes it at this moment.
            continue
        summary = json_object(folder / SUMMARY_FILE)
        found.append(
            {
                "pipeline": folder.parent.parent.name,
                "run_id": folder.name,
                "began": began,
                "status": summary.get("status", UNENDED),
                "seconds": summary.get("seconds"),
                "metrics": summary.get("metrics", {}),
                "servable": summary.get("servable"),
                "acceptance": (summary.get("anomalies") or {}).get("acceptance"),
                "run_dir": str(folder),
            }
        )
    return sorted(found, key=lambda run: (run["began"], run["run_id"]))


def run_detail(run_dir: Path) -> dict[str, Any]:
    """Returns all that a run left about itself, in plain JSON.

    Of a run without a summary the events tell which nodes ended since it last began or was resumed,
    and what failed.
    """
    found = {
        "pipeline": run_dir.parent.parent.name,
        "began": began_at(run_dir),
        **asdict(Summary(UNENDED, run_dir.name, str(run_dir))),
        **json_object(run_dir / SUMMARY_FILE),
        # It may have been moved since.
        "run_dir": str(run_dir),
    }
    if found["status"] == UNENDED:
        for event in _last_ends(run_dir):
            state = event.get("state", FAILED)
            found["nodes"].append(asdict(Node(event["node"], state, event["seconds"])))
            if event["kind"] == "node_failed":
                found["error"] = {"node": event["node"], "cause": event["cause"]}
    return found


def _last_ends(run_dir: Path) -> list[dict[str, Any]]:
    """Returns how each node ended that has since the run last began, and goes on no more."""
    ends: dict[str, dict[str, Any]] = {}
    for event in read_events(run_dir):
        if event["kind"] == RUN_BEGIN:
            ends.clear()
        elif event["kind"] == "node_begin":
            # A scheduler tries it again.
            ends.pop(event["node"], None)
        elif event["kind"] in ("node_end", "node_failed"):
            ends[event["node"]] = event
    return list(ends.values())


def read_summary(run_dir: Path) -> Summary | None:
    """Returns the summary of a run; None if it left none that can be read."""
    values = json_object(run_dir / SUMMARY_FILE)
    if not values:
        return None
    nodes = [Node(**node) for node in values.pop("nodes")]
    return Summary(**{**values, "run_dir": str(run_dir)}, nodes=nodes)


def json_object(path: Path) -> dict[str, Any]:
    """Returns the object in a file of a run; {} if there is none, as after a loss of power."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
