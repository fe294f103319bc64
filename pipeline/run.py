"""One run from a configuration to a pushed model, or to the reason why not."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec

from pipeline.anomalies import accept
from pipeline.checks import check_inputs, check_task
from pipeline.closing import EXIT_INTERRUPTED, exit_code, show_summary
from pipeline.config_file import ConfigError, NotNow, Problem, Source, load_config
from pipeline.disk import little_room
from pipeline.display import Display, make_display
from pipeline.events import events_of_run
from pipeline.metadata.checks import check_metadata
from pipeline.output import CapturedOutput
from pipeline.report import (
    ANOMALIES,
    FAILED,
    STOPPED,
    SUMMARY_FILE,
    Summary,
    summarize,
    summarize_check,
)
from pipeline.run_folder import (
    CONFIG_FILE,
    LOG_FILE,
    Request,
    make_run_folder,
    new_run_id,
    read_request,
)
from pipeline.run_lock import RootBusy, hold_root
from serving.atomic_files import exclusive
from trainer_module import stopping
from trainer_module.progress import emit

if TYPE_CHECKING:
    from pipeline.config import RunConfig
    from trainer_module.tasks.base import Task

P = ParamSpec("P")

_MOST_GONE = 5
"""Lines about what is gone: whoever removed a folder need not be told all that was in it."""


@dataclass(frozen=True)
class Asked:
    """What a person asked for on the command line.

    Attributes:
        as_json: print the summary as one line of JSON at the end of stdout, and the rest to
            stderr.
        accepted_why: why anomalies that stop the data are accepted; None: they are not.
        wait: seconds to wait for another run of the pipeline to end.
    """

    as_json: bool = False
    accepted_why: str | None = None
    wait: float = 0.0


def _interruptible(run: Callable[P, int]) -> Callable[P, int]:
    """Tells a person who had enough that nothing is lost, in place of a traceback."""

    @functools.wraps(run)
    def told(*arguments: P.args, **options: P.kwargs) -> int:
        try:
            return run(*arguments, **options)
        except KeyboardInterrupt:
            print("interrupted; the same command goes on from here", file=sys.stderr)
            return EXIT_INTERRUPTED

    return told


@_interruptible
def run(
    path: str, overrides: list[str], use_cache: bool, asked: Asked, to_gate: bool = False
) -> int:
    """Runs a configuration and shows it; returns the exit code.

    Args:
        path: of the YAML file.
        overrides: `key=value` each.
        use_cache: False runs every node again, whatever the configuration says.
        to_gate: end with the verdict on the data, before anything is trained.

    Raises:
        ConfigError: before anything is written.
    """
    source = Source(path, overrides)
    config = load_config(path, [*overrides, *([] if use_cache else ["cache=false"])])
    check_inputs(config, source)
    check_metadata(config, source)
    sets = [part for item in overrides for part in ("--set", item)]
    command = ["check" if to_gate else "run", path, *sets]
    request = Request(os.getcwd(), to_gate=to_gate)
    return _drive(config, source, new_run_id(), request, command, asked)


@_interruptible
def resume(folder: Path, asked: Asked) -> int:
    """Goes on with a run that did not end, under its own id; returns the exit code.

    Nodes that it has finished are left alone. The configuration is the one that it began with.

    Raises:
        ConfigError: before anything is written.
    """
    config, request = read_request(folder)
    command = ["resume", str(folder)]
    source = Source(str(folder / CONFIG_FILE))
    with working_in(request.working_directory, source):
        _check_place(config, folder)
        check_inputs(config, source)
        check_metadata(config, source)
        return _drive(config, source, folder.name, request, command, asked)


def _check_place(config: RunConfig, folder: Path) -> None:
    """Sees that a run is in the root that it goes on in: its finished nodes are there alone.

    Raises:
        ConfigError: if it was moved, or copied.
    """
    place = config.pipeline_root / "runs" / folder.name
    if place.resolve() != folder.resolve():
        allowed = f"where the run began, {place}: move its pipeline's folder back there"
        raise ConfigError(Problem("resume", "RUN", str(folder), allowed))


@contextlib.contextmanager
def hold_for_run(
    config: RunConfig, source: Source, run_id: str, shared: bool, wait: float, display: Display
) -> Iterator[None]:
    """Holds the pipeline's root for a run.

    Raises:
        NotNow: if another run of the pipeline is going on, or the root cannot be written.
    """
    with contextlib.ExitStack() as stack:
        with writing_root(config, source):
            try:
                held = hold_root(config.pipeline_root, run_id, shared, wait, display.say)
                stack.enter_context(held)
            except RootBusy as busy:
                allowed = "one run of a pipeline at a time: --wait SECONDS, or another root"
                raise NotNow(source.problem("root", str(busy), allowed)) from busy
        yield


@contextlib.contextmanager
def writing_root(config: RunConfig, source: Source) -> Iterator[None]:
    """Holds what is written before a run can tell of a failure in its own log.

    Raises:
        NotNow: if it cannot be written.
    """
    try:
        yield
    except OSError as error:
        from pipeline.runners.causes import cause_of

        allowed = "a folder that can be written; then the same command goes on"
        raise NotNow(source.problem("root", cause_of(error, config), allowed)) from error


def warn_of_little_room(config: RunConfig) -> None:
    """Says where the disks that the run writes to are nearly full."""
    places = [config.pipeline_root, config.serving_root, Path(tempfile.gettempdir())]
    for room in little_room(places):
        text = f"{room}: if that is too little, the run fails, and goes on once there is more"
        emit("warning", text=text)


def prepare_task(config: RunConfig, source: Source) -> Task:
    """Sets up the devices, before anything uses them, and makes the task."""
    from trainer_module.strategy import configure_devices

    configure_devices(config.train)
    return check_task(config, source)


def _drive(
    config: RunConfig,
    source: Source,
    run_id: str,
    request: Request,
    command: list[str],
    asked: Asked,
) -> int:
    """Runs a pipeline under an id and shows it; returns the exit code."""
    began = time.monotonic()
    stopping.stop_on_sigterm()
    with CapturedOutput() as output:
        stream = output.stderr if asked.as_json else output.stdout
        with make_display(stream) as display:
            task = prepare_task(config, source)
            with hold_for_run(config, source, run_id, False, asked.wait, display):
                with writing_root(config, source):
                    run_dir = make_run_folder(config, run_id, request)
                    output.log_to(run_dir / LOG_FILE)
                    # A run that goes on has not ended, whatever it came to before.
                    (run_dir / SUMMARY_FILE).unlink(missing_ok=True)
                    if asked.accepted_why is not None:
                        accept(run_dir, asked.accepted_why)
                display.say(f"{config.name}  run {run_id}")
                with events_of_run(run_dir, config.name):
                    summary = _execute(config, task, run_dir, display, began, request)
                    show_summary(summary, config, command, asked.accepted_why, display)
        if asked.as_json:
            print(summary.to_json(), file=output.stdout, flush=True)
    return exit_code(summary)


def _execute(
    config: RunConfig, task: Task, run_dir: Path, display: Display, began: float, request: Request
) -> Summary:
    """Runs the pipeline in this process; a failure becomes a summary that tells it.

    Raises:
        KeyboardInterrupt: if the person at the terminal had enough.
    """
    from pipeline.beam.engine import running_engine
    from pipeline.compiler import compile_pipeline
    from pipeline.runners.causes import cause_of
    from pipeline.runners.local import LocalRunner

    try:
        warn_of_little_room(config)
        mend_books(config, run_dir.name)
        ir = compile_pipeline(config, task, request.to_gate)
        with running_engine(config.beam, config.data):
            LocalRunner().run_compiled(ir, run_dir.name, config, request.parameters)
        seconds = time.monotonic() - began
        if request.to_gate:
            return summarize_check(config, run_dir.name, run_dir, display.nodes, seconds)
        return summarize(config, task, run_dir.name, run_dir, display.nodes, seconds)
    except Exception as error:
        if display.interrupted:
            # Beam turns what a node raises into an error of its own.
            raise KeyboardInterrupt from error
        # To the log, where the libraries' own lines about it are.
        sys.excepthook(type(error), error, error.__traceback__)
        status = ANOMALIES if display.verdict else STOPPED if display.stopped else FAILED
        return Summary(
            status=status,
            run_id=run_dir.name,
            run_dir=str(run_dir),
            anomalies=display.verdict,
            nodes=display.nodes,
            seconds=time.monotonic() - began,
            error=display.failure or {"node": "(none)", "cause": cause_of(error, config)},
        )


def mend_books(config: RunConfig, run_id: str) -> None:
    """Ends what killed runs left, and forgets outputs that are gone, before a run begins.

    Args:
        run_id: of the run that begins, and holds the root.
    """
    from pipeline.collection.missing import forget_missing_outputs
    from pipeline.leftovers import clean_up
    from pipeline.metadata.connection import has_metadata
    from pipeline.metadata.store import open_store

    if has_metadata(config):
        # Of a scheduled run, several nodes may be the first.
        with exclusive(config.pipeline_root), open_store(config) as handle:
            artifacts = config.pipeline_root / "artifacts"
            nodes = clean_up(handle.store, config.name, artifacts, run_id)
            gone = forget_missing_outputs(handle.store, config.name)
        if nodes:
            print(f"removed what killed nodes had left: {', '.join(nodes)}")
        for line in gone[:_MOST_GONE]:
            emit("warning", text=line)
        if len(gone) > _MOST_GONE:
            emit("warning", text=f"... and {len(gone) - _MOST_GONE} more are gone")


@contextlib.contextmanager
def working_in(directory: str, source: Source) -> Iterator[None]:
    """Works in the folder that a configuration's relative paths and own modules are found from.

    Raises:
        ConfigError: if it is gone.
    """
    before = os.getcwd()
    try:
        os.chdir(directory)
    except OSError as error:
        found = f"{directory}: {error.strerror}"
        raise ConfigError(source.problem("(working directory)", found, "a folder")) from error
    sys.path.append(directory)
    try:
        yield
    finally:
        os.chdir(before)
