"""`tapeline predict`: ask a model about rows, here or on a server."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Optional

import typer

from pipeline.commands import server_arguments as server
from pipeline.commands.arguments import Set
from pipeline.config_file import ConfigError, Problem

if TYPE_CHECKING:
    from pipeline.predict.models import Model
    from pipeline.predict.rows import Rows
    from pipeline.predict.server import Asked

_LOCAL_BATCH = 256
# A server refuses what is larger than its max_batch_size, 64 if nobody has set it.
_REMOTE_BATCH = 32
_ADVICE = {
    "UNAVAILABLE": "is it up, and the address right? `tapeline serve` starts one",
    "RESOURCE_EXHAUSTED": "it has too much to do: try --in-flight 1, or a smaller --batch",
    "DEADLINE_EXCEEDED": "try a longer --deadline, or a smaller --batch",
}


def predict(
    model: Annotated[
        Optional[str],
        typer.Argument(
            metavar="MODEL", help="CONFIG of a run, a model's folder, or a version's folder."
        ),
    ] = None,
    rows: Annotated[
        Optional[list[str]],
        typer.Argument(
            metavar="[ROWS]...",
            help="Files of JSON, CSV or TFRecord; pictures, or folders of them; - for stdin.",
        ),
    ] = None,
    set_: Set = None,
    sample: Annotated[
        Optional[int],
        typer.Option(min=1, help="Ask about the first N rows of the data it was trained on."),
    ] = None,
    signature: Annotated[
        str, typer.Option(help="One that takes raw features, or the task's own.")
    ] = "serving_raw",
    url: server.Url = None,
    grpc: server.Grpc = None,
    model_name: server.ModelName = None,
    version: server.Version = None,
    label: server.Label = None,
    tls: server.Tls = False,
    ca: server.Ca = None,
    cert: server.Cert = None,
    key: server.Key = None,
    batch: Annotated[
        Optional[int],
        typer.Option(min=1, help=f"Rows a request: {_REMOTE_BATCH}, {_LOCAL_BATCH} without one."),
    ] = None,
    in_flight: Annotated[
        int, typer.Option(min=1, help="Requests that a server has at a time.")
    ] = 4,
    deadline: Annotated[
        float,
        typer.Option(min=0.001, metavar="SECONDS", help="For each answer, all retries counted."),
    ] = 60.0,
    input_format: Annotated[
        str, typer.Option(help="auto, csv, json, images or tfrecord; auto goes by the names.")
    ] = "auto",
    format_: Annotated[str, typer.Option("--format", help="Of the answers: jsonl or csv.")] = (
        "jsonl"
    ),
    output: Annotated[
        Optional[Path], typer.Option(metavar="FILE", help="For the answers; stdout if not given.")
    ] = None,
) -> None:
    """Ask the pushed model, or a server that has it, about raw rows.

    Rows are JSON objects of features (one, a list, or one a line), CSV with a header, pictures, or
    tf.Examples in TFRecord files. Answers come in the order of the rows.

    Example: tapeline predict configs/digits.yaml --sample 3
    """
    from pipeline.predict.server import Asked, ServerOptions

    if model_name is not None and model is not None:
        rows, model = [model, *(rows or [])], None
    asked = Asked(
        model, model_name, set_ or [], version, label, ServerOptions(url, grpc, tls, ca, cert, key)
    )
    asked.check()
    _check_choice("--format", format_, ("jsonl", "csv"))
    job = _Job(signature, batch, in_flight, deadline, format_, output)
    data = _Data(rows, sample, input_format)
    if asked.server.is_given:
        _ask_server(asked, data, job)
    else:
        _ask_here(asked.folder(), data, job)


def _ask_here(folder: Path, data: _Data, job: _Job) -> None:
    """Loads the model into this process, whose libraries print much that nobody asked for."""
    from pipeline.output import CapturedOutput
    from pipeline.predict.models import LocalModel

    data.check()
    with CapturedOutput() as captured:
        rows = data.open(lambda: folder)
        job.run(rows, LocalModel(folder), _LOCAL_BATCH, captured.stdout, captured.stderr)


def _ask_server(asked: Asked, data: _Data, job: _Job) -> None:
    from pipeline.predict.models import RemoteModel
    from serving.client import RetryPolicy, ServingClientError

    name, version = asked.on_server()
    data.check()
    rows = data.open(asked.folder)
    # A long job outlives a server that starts again: each answer has its whole deadline.
    with asked.server.connect(name, RetryPolicy(max_attempts=None)) as client:
        model = RemoteModel(client, version, asked.label, job.deadline)
        try:
            job.run(rows, model, _REMOTE_BATCH, sys.stdout, sys.stderr)
        except ServingClientError as error:
            advice = _ADVICE.get(error.code.name, "see the server's log")
            print(f"error: {model.where}: {error}; {advice}", file=sys.stderr)
            raise typer.Exit(1) from error


@dataclass(frozen=True)
class _Job:
    """How to ask, and what becomes of the answers."""

    signature: str
    batch: int | None
    in_flight: int
    deadline: float
    format: str
    output: Path | None

    def run(self, rows: Rows, model: Model, batch: int, stdout: IO[str], stderr: IO[str]) -> None:
        from pipeline.predict.job import answer
        from pipeline.predict.progress import Progress
        from pipeline.predict.writers import WRITERS, output_file

        opened: contextlib.AbstractContextManager[IO[str]] = contextlib.nullcontext(stdout)
        if self.output is not None:
            opened = output_file(self.output)
        progress = Progress(stderr, lambda: rows.total)  # type: ignore[arg-type]
        with opened as stream:
            write = WRITERS[self.format](stream)
            size = self.batch or batch
            for answers in answer(rows, model, self.signature, size, self.in_flight):
                for one in answers:
                    write(one)
                progress.add(len(answers))
        if self.output is not None or not stdout.isatty():
            progress.finish()


@dataclass(frozen=True)
class _Data:
    """Which rows, as the arguments say it."""

    patterns: list[str] | None
    sample: int | None
    kind: str

    def check(self) -> None:
        """Raises ConfigError if the arguments contradict each other."""
        from pipeline.predict.inputs import KINDS

        _check_choice("--input-format", self.kind, KINDS)
        if (not self.patterns) == (self.sample is None):
            found = "neither" if self.sample is None else "both"
            raise ConfigError(Problem("predict", "ROWS", found, "one of ROWS and --sample N"))

    def open(self, version: Callable[[], Path]) -> Rows:
        """Returns the rows; `version` gives the folder of a version that says what it is from."""
        from pipeline.predict.inputs import open_rows
        from pipeline.predict.sample_rows import SampleRows

        if self.sample is not None:
            return SampleRows(version(), self.sample)
        assert self.patterns
        return open_rows(self.patterns, self.kind)


def _check_choice(option: str, found: str, allowed: Sequence[str]) -> None:
    if found not in allowed:
        raise ConfigError(Problem("predict", option, found, ", ".join(allowed)))
