"""What a person sees of a run: a live display on a terminal, plain lines anywhere else.

Both are logging handlers of the progress events, so that what the nodes do in other threads
reaches them in order.
"""

from __future__ import annotations

import abc
import logging
from typing import Any, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn
from rich.spinner import Spinner
from rich.text import Text

from pipeline.anomalies import acceptance_text, anomaly_lines
from pipeline.lineage import EARLIER, SKIPPED
from pipeline.report import CACHED, CHECKED, FAILED, NOT_BLESSED, STOPPED, Node, Summary
from trainer_module.progress import LOGGER_NAME

_LOOKUPS = ("AcceptedData", "Baseline", "WarmStart")
"""Nodes that look something up in the metadata: no work that one waits for, or that is cached."""


_LOOKS = {
    "done": ("green", "✓"),
    CACHED: ("cyan", "="),
    EARLIER: ("cyan", "="),
    SKIPPED: ("yellow", "-"),
    FAILED: ("red", "✗"),
    STOPPED: ("yellow", "■"),
}
"""Color and mark of a node's state."""


class Display(logging.Handler, abc.ABC):
    """Collects the nodes of a run from its events; subclasses show them.

    Use as a context manager around the run.
    """

    def __init__(self) -> None:
        super().__init__()
        self.nodes: list[Node] = []
        self.failure: dict[str, str] | None = None
        self.interrupted = False
        self.stopped = False
        self.verdict: dict[str, Any] | None = None

    def __enter__(self) -> Display:
        logging.getLogger(LOGGER_NAME).addHandler(self)
        return self

    def __exit__(self, *_exception: object) -> None:
        logging.getLogger(LOGGER_NAME).removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        event: dict[str, Any] = getattr(record, "event", {})
        kind = event.get("kind", "")
        if event.get("node") in _LOOKUPS and kind != "node_failed":
            return
        if kind == "node_end":
            self.nodes.append(Node(event["node"], event["state"], round(event["seconds"], 2)))
        elif kind == "node_failed":
            self.verdict = event.get("verdict")
            state = STOPPED if self.verdict else FAILED
            self.nodes.append(Node(event["node"], state, round(event["seconds"], 2)))
            self.failure = {"node": event["node"], "cause": event["cause"]}
            self.interrupted = event.get("interrupted", False)
            self.stopped = event.get("stopped", False)
        try:
            self.show(event)
        except Exception:
            self.handleError(record)

    @abc.abstractmethod
    def say(self, text: str) -> None:
        """Shows a line of its own."""

    def _say_aside(self, event: dict[str, Any]) -> None:
        """Says what a training began or ended with, where that is out of the ordinary."""
        kind = event.get("kind")
        if kind == "train_begin" and event["step"]:
            self.say(f"  resumed from the checkpoint at step {event['step']}")
        elif kind == "warm_start":
            fresh = f"; new: {', '.join(event['fresh'])}" if event["fresh"] else ""
            self.say(f"  began with {event['taken']} variables of the last blessed model{fresh}")
        elif kind == "trained" and event["stopped"]:
            self.say(f"  ended after {event['steps']} steps: {event['stopped']}")
        elif kind == "warning":
            self.say(f"  warning: {event['text']}")

    @abc.abstractmethod
    def show(self, event: dict[str, Any]) -> None:
        """Shows an event."""


class PlainDisplay(Display):
    """One line a node and a few of the training, for a pipe, a file or a scheduler's log."""

    _TRAINING_LINES = 10

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._epochs = 1

    def say(self, text: str) -> None:
        print(text, file=self._stream, flush=True)

    def show(self, event: dict[str, Any]) -> None:
        kind = event.get("kind")
        if kind in ("node_end", "node_failed"):
            node = self.nodes[-1]
            self.say(f"{node.name:<18} {node.state:<7} {node.seconds:6.1f} s")
        elif kind == "train_begin":
            self._epochs = event["total_steps"] // event["steps_per_epoch"]
            self._say_aside(event)
        elif kind == "epoch_end" and _is_worth_a_line(
            event["epoch"], self._epochs, self._TRAINING_LINES
        ):
            self.say(f"  epoch {event['epoch']}/{self._epochs}  {_figures(event['eval'])}")
        else:
            self._say_aside(event)


class RichDisplay(Display):
    """One line a node, a spinner on the one that runs, and a bar while it trains."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console
        self._running: str | None = "starting"
        self._bar = Progress(
            TextColumn("  epoch {task.fields[epoch]}/{task.fields[epochs]}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[figures]}"),
            TextColumn("{task.fields[speed]:.0f} steps/s"),
            TextColumn("{task.fields[left]} left"),
            console=console,
        )
        self._task: Any = None
        self._live = Live(
            get_renderable=self._render,
            console=console,
            refresh_per_second=8,
            transient=True,
            # What libraries print belongs in the log, not above the bar.
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> Display:
        self._live.start()
        return super().__enter__()

    def __exit__(self, *exception: object) -> None:
        super().__exit__(*exception)
        self._running = None
        self._live.stop()

    def say(self, text: str) -> None:
        self._console.print(text, highlight=False, markup=False)

    def show(self, event: dict[str, Any]) -> None:
        kind = event.get("kind")
        if kind == "node_begin":
            self._running = event["node"]
        elif kind in ("node_end", "node_failed"):
            self._running, self._task = None, None
            self._console.print(_node_line(self.nodes[-1]))
        elif kind == "train_begin":
            epochs = event["total_steps"] // event["steps_per_epoch"]
            self._task = self._bar.add_task(
                "", total=event["total_steps"], completed=event["step"], epoch=0, epochs=epochs,
                figures="", speed=0.0, left="?",
            )  # fmt: skip
            self._say_aside(event)
        elif kind == "trained":
            self._running, self._task = "Trainer: exporting", None
            self._say_aside(event)
        elif kind == "train_step" and self._task is not None:
            speed = event["steps_per_second"]
            left = (event["total_steps"] - event["step"]) / speed if speed else 0.0
            self._bar.update(
                self._task, completed=event["step"], epoch=event["epoch"], speed=speed,
                left=f"{left:.0f} s", figures=_figures(event["values"]),
            )  # fmt: skip
        else:
            self._say_aside(event)

    def _render(self) -> Group:
        parts: list[Any] = []
        if self._running:
            parts.append(Spinner("dots", Text(f" {self._running}")))
        if self._task is not None:
            parts.append(self._bar.get_renderable())
        return Group(*parts)


def make_display(stream: TextIO) -> Display:
    """Returns the live display if `stream` is a terminal, else the plain one."""
    if stream.isatty():
        return RichDisplay(Console(file=stream))
    return PlainDisplay(stream)


def summary_lines(summary: Summary, predict_command: str) -> list[str]:
    """Returns the closing lines of a run."""
    lines = [""]
    if summary.rows:
        counts = ", ".join(f"{count} {split}" for split, count in summary.rows.items())
        aside = summary.quarantined
        rows = sum(summary.rows.values()) + (aside["rows"] if aside else 0)
        lines.append(f"read       {rows} rows: {counts}")
        if aside:
            lines[-1] += f", {aside['rows']} put aside"
            lines.append(f"put aside  {aside['folder']}; the first: {aside['first'][0]}")
    if summary.anomalies:
        lines += anomaly_lines(summary.anomalies)
        if summary.anomalies["acceptance"]:
            lines.append(f"accepted   {acceptance_text(summary.anomalies['acceptance'])}")
    if summary.training:
        training = summary.training
        lines.append(
            f"trained    {training['epochs']} epochs, {training['steps']} steps; best epoch "
            f"{training['best_epoch']}: {_figures(training['eval'])}"
        )
    if summary.metrics:
        lines.append(f"evaluated  {_figures(summary.metrics)} on the test split")
    if summary.blessing:
        verdict = "blessed" if summary.blessing["blessed"] else "refused"
        lines.append(f"decided    {verdict}: {summary.blessing['reason']}")
    if summary.lite:
        lines += _lite_lines(summary.lite)
    if summary.status == CHECKED:
        lines.append("checked    the data may be trained on")
    elif summary.status == NOT_BLESSED:
        lines.append("pushed     nothing; the serving directory is as it was")
    elif summary.status == CACHED:
        lines.append(f"pushed     nothing new; {summary.servable} is in place")
    elif summary.servable:
        lines += [f"pushed     {summary.servable}", f"try it     {predict_command}"]
    lines.append(f"took       {summary.seconds:.1f} s; log {summary.run_dir}/run.log")
    return lines


def _lite_lines(lite: dict[str, Any]) -> list[str]:
    """Returns what came out as TF Lite, with the sizes, and what was refused, with the reason."""
    variants = lite["variants"].items()
    sizes = [
        f"{name} {found['size'] / 1000:.0f} KB" for name, found in variants if not found["refusal"]
    ]
    lines = [f"tflite     {', '.join(sizes)} in {lite['folder']}"] if sizes else []
    return lines + [
        f"tflite     {name} refused: {found['refusal']}"
        for name, found in variants
        if found["refusal"]
    ]


def _node_line(node: Node) -> Text:
    color, mark = _LOOKS[node.state]
    return Text.assemble(
        (f"{mark} ", color),
        f"{node.name:<18} ",
        (f"{node.state:<7}", color),
        f"{node.seconds:6.1f} s",
    )


def _figures(values: dict[str, float]) -> str:
    """Returns the loss and the heads' metrics, not the parts of the loss nor what is of no use."""
    hidden = ("loss/", "learning_rate", "gradient_norm")
    return "  ".join(
        f"{name} {value:.4f}" for name, value in values.items() if not name.startswith(hidden)
    )


def _is_worth_a_line(epoch: int, epochs: int, lines: int) -> bool:
    """Picks about `lines` epochs, evenly, the last one among them."""
    return epoch == epochs or epoch % -(-epochs // lines) == 0
