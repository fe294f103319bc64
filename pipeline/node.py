"""A run whose nodes are processes of their own, started by a scheduler from the compiled form.

Each node leaves an account in the run's folder, `nodes/<node>.json`; at the end `finish_run` makes
of them the summary that a run in one process writes.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec

from pipeline.closing import (
    EXIT_ANOMALIES,
    EXIT_FAILED,
    EXIT_OK,
    exit_code,
    show_summary,
    told,
)
from pipeline.compiled import CONFIG_FILE, Compiled, ir_text, read_compiled
from pipeline.config_file import ConfigError, NotNow, Problem, Source
from pipeline.display import Display, PlainDisplay
from pipeline.events import events_of_node
from pipeline.lineage import EARLIER, SKIPPED
from pipeline.metadata.checks import check_name
from pipeline.metadata.errors import MetadataError
from pipeline.output import CapturedOutput
from pipeline.report import ANOMALIES, FAILED, STOPPED, Node, Summary, summarize
from pipeline.run import (
    hold_for_run,
    mend_books,
    prepare_task,
    warn_of_little_room,
    working_in,
    writing_root,
)
from pipeline.run_folder import LOG_FILE, Request, check_run_id, make_run_folder
from pipeline.run_lock import hold_node
from serving.atomic_files import exclusive, replace_text
from trainer_module import stopping

if TYPE_CHECKING:
    from pipeline.config import RunConfig
    from trainer_module.tasks.base import Task

P = ParamSpec("P")

EXIT_SKIPPED = 99
"""Of a node whose condition is false; what Airflow's operators take for a skip by default."""

_ACCOUNTS = "nodes"


@dataclass(frozen=True)
class Account:
    """How a node ended.

    Attributes:
        state: as of `report.Node`.
        cause: of a failure.
        verdict: of the gate, where it stopped the run.
    """

    name: str
    state: str
    seconds: float
    cause: str | None = None
    verdict: dict[str, Any] | None = None


def _tried_again(command: Callable[P, int]) -> Callable[P, int]:
    """Ends a command with 1 where it may get further later: 2 tells a scheduler to give up."""

    @functools.wraps(command)
    def ended(*arguments: P.args, **options: P.kwargs) -> int:
        try:
            return command(*arguments, **options)
        except (NotNow, MetadataError) as error:
            print(f"error: {error}", file=sys.stderr)
            return EXIT_FAILED

    return ended


@_tried_again
def run_node(
    folder: Path, node: str, run_id: str, parameters: Mapping[str, str], wait: float
) -> int:
    """Runs one node of a compiled pipeline in this process; returns the exit code.

    A node that the run has finished is not run again. What an attempt that was killed left is
    removed first, and an attempt that still goes on is waited for.

    Args:
        folder: of the compiled form.
        run_id: of the run; the same for all of its nodes.
        parameters: runtime parameters.
        wait: seconds to wait for another run of the pipeline to end.

    Raises:
        ConfigError: before anything is written.
    """
    check_run_id(run_id)
    compiled = read_compiled(folder)
    config, source = compiled.config, Source(str(compiled.folder / CONFIG_FILE))
    _check_names(compiled, node, parameters)
    _check_span(config, parameters)
    stopping.stop_on_sigterm()
    with (
        working_in(compiled.graph["working_directory"], source),
        CapturedOutput() as output,
        PlainDisplay(output.stdout) as display,
    ):
        _check_same_code(compiled, prepare_task(config, source))
        if not _upstream(compiled, node):
            check_name(config, source)
        with (
            hold_for_run(config, source, run_id, True, wait, display),
            contextlib.ExitStack() as held,
        ):
            request = Request(os.getcwd(), dict(parameters))
            with writing_root(config, source):
                held.enter_context(hold_node(config.pipeline_root, node, display.say))
                run_dir = make_run_folder(config, run_id, request)
                output.log_to(run_dir / LOG_FILE)
            with events_of_node(run_dir, config.name):
                account = _launch(compiled, node, run_id, parameters, display)
            with told(f"{_ACCOUNTS}/{node}.json", display):
                _write_account(run_dir, account)
        if account.cause is not None:
            log = run_dir / LOG_FILE
            display.say(f"{account.state:<10} {node}: {account.cause}\nlog        {log}")
    if account.cause is None:
        return EXIT_SKIPPED if account.state == SKIPPED else EXIT_OK
    if account.verdict is not None:
        return EXIT_ANOMALIES
    return stopping.EXIT_CODE if account.state == STOPPED else EXIT_FAILED


@_tried_again
def finish_run(folder: Path, run_id: str, as_json: bool) -> int:
    """Makes the summary of a run whose nodes a scheduler ran; returns the exit code of the run.

    Raises:
        ConfigError: if there is no such run.
    """
    check_run_id(run_id)
    compiled = read_compiled(folder)
    config, source = compiled.config, Source(str(compiled.folder / CONFIG_FILE))
    with (
        working_in(compiled.graph["working_directory"], source),
        CapturedOutput() as output,
        PlainDisplay(output.stderr if as_json else output.stdout) as display,
    ):
        run_dir = config.pipeline_root / "runs" / run_id
        if not run_dir.is_dir():
            allowed = f"a run under {run_dir.parent}"
            raise ConfigError(Problem("finish", "--run-id", run_id, allowed))
        with writing_root(config, source):
            output.log_to(run_dir / LOG_FILE)
        summary = _summary(compiled, run_dir, source)
        with events_of_node(run_dir, config.name):
            show_summary(summary, config, ["resume", str(run_dir)], None, display)
        if as_json:
            print(summary.to_json(), file=output.stdout, flush=True)
    return exit_code(summary)


def _check_names(compiled: Compiled, node: str, parameters: Mapping[str, str]) -> None:
    """Raises ConfigError for a node or a parameter that the pipeline does not have."""
    nodes, known = compiled.nodes, compiled.graph["parameters"]
    problems = [] if node in nodes else [Problem("node", "NODE", node, ", ".join(nodes))]
    problems += [
        Problem("node", "--parameter", name, ", ".join(known))
        for name in parameters
        if name not in known
    ]
    if problems:
        raise ConfigError(*problems)


def _check_span(config: RunConfig, parameters: Mapping[str, str]) -> None:
    """Raises ConfigError for a span that the data will never have: one that no retry mends."""
    from components.example_gen.component import SPAN_PARAMETER
    from components.example_gen.query import AS_CONFIGURED, of_span
    from components.example_gen.source import DataError

    span = parameters.get(SPAN_PARAMETER, AS_CONFIGURED)
    try:
        if span != AS_CONFIGURED:
            of_span(config.data, span)
    except DataError as error:
        found, _, allowed = str(error).partition("; allowed: ")
        raise ConfigError(Problem("node", "--parameter span", found, allowed)) from error


def _check_same_code(compiled: Compiled, task: Task) -> None:
    """Raises ConfigError if the code, or the reviewed schema, is not what was compiled.

    The hashes of both are in what was compiled, and the cache would go by the old ones.
    """
    from pipeline.compiler import compile_pipeline

    if ir_text(compile_pipeline(compiled.config, task)) != ir_text(compiled.ir):
        found = "a pipeline that this code, or the file of the schema, does not give any more"
        allowed = "what it gives: run `tapeline compile` again"
        raise ConfigError(Problem(str(compiled.folder), "DIR", found, allowed))


def _launch(
    compiled: Compiled, node: str, run_id: str, parameters: Mapping[str, str], display: Display
) -> Account:
    """Launches the node; a failure is told by its account."""
    from pipeline.beam.engine import running_engine
    from pipeline.runners.causes import cause_of
    from pipeline.runners.launching import launch_node
    from pipeline.runners.local import substitute

    began = time.monotonic()

    def account(state: str, **failure: Any) -> Account:
        return Account(node, state, round(time.monotonic() - began, 2), **failure)

    substitute(compiled.ir, run_id, parameters)
    try:
        warn_of_little_room(compiled.config)
        if not _upstream(compiled, node):
            mend_books(compiled.config, run_id)
        with running_engine(compiled.config.beam, compiled.config.data):
            return account(launch_node(compiled.ir, node, compiled.config))
    except Exception as error:
        sys.excepthook(type(error), error, error.__traceback__)
        cause = display.failure["cause"] if display.failure else cause_of(error, compiled.config)
        state = STOPPED if display.stopped or display.verdict else FAILED
        return account(state, cause=cause, verdict=display.verdict)


def _upstream(compiled: Compiled, node: str) -> list[str]:
    (found,) = [found["upstream"] for found in compiled.graph["nodes"] if found["id"] == node]
    return list(found)


def _write_account(run_dir: Path, account: Account) -> None:
    folder = run_dir / _ACCOUNTS
    path = folder / f"{account.name}.json"
    with exclusive(folder, create=True):
        # What the attempt that did the work took is worth more than that it was done before.
        if account.state != EARLIER or not path.exists() or _read_account(path).cause:
            replace_text(path, json.dumps(asdict(account)) + "\n")


def _read_account(path: Path) -> Account:
    return Account(**json.loads(path.read_text(encoding="utf-8")))


def _read_accounts(run_dir: Path, nodes: list[str]) -> Iterator[Account]:
    """Yields the accounts of the nodes that ended, in the order of the graph."""
    for node in nodes:
        path = run_dir / _ACCOUNTS / f"{node}.json"
        if path.is_file():
            yield _read_account(path)


def _summary(compiled: Compiled, run_dir: Path, source: Source) -> Summary:
    accounts = list(_read_accounts(run_dir, compiled.nodes))
    lookups = {node["id"] for node in compiled.graph["nodes"] if node["lookup"]}
    nodes = [
        Node(account.name, account.state, account.seconds)
        for account in accounts
        if account.name not in lookups
    ]
    seconds = sum(account.seconds for account in accounts)
    failed = [account for account in accounts if account.cause is not None]
    missing = [name for name in compiled.nodes if name not in {found.name for found in accounts}]
    if not failed and not missing:
        task = prepare_task(compiled.config, source)
        return summarize(compiled.config, task, run_dir.name, run_dir, nodes, seconds)
    first = failed[0] if failed else Account(missing[0], FAILED, 0.0, "it did not end, or not run")
    return Summary(
        status=ANOMALIES if first.verdict is not None else first.state,
        run_id=run_dir.name,
        run_dir=str(run_dir),
        anomalies=first.verdict,
        nodes=nodes,
        seconds=seconds,
        error={"node": first.name, "cause": str(first.cause)},
    )
