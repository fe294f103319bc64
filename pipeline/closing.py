"""The end of a run: its files, its closing lines, and the exit code that says how it went."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.anomalies import ANOMALIES_FILE, anomaly_lines, answers, write_anomalies
from pipeline.display import Display, summary_lines
from pipeline.events import emit_outcome
from pipeline.monitor.prometheus import monitor_path, write_run
from pipeline.program import shell_line
from pipeline.report import ANOMALIES, FAILED, NOT_BLESSED, STOPPED, SUMMARY_FILE, Summary
from pipeline.run_folder import CONFIG_FILE, LOG_FILE
from trainer_module import stopping

if TYPE_CHECKING:
    from pipeline.config import RunConfig

EXIT_OK, EXIT_FAILED, EXIT_ANOMALIES, EXIT_NOT_BLESSED = 0, 1, 3, 4
EXIT_INTERRUPTED = 130


def exit_code(summary: Summary) -> int:
    codes = {
        FAILED: EXIT_FAILED,
        ANOMALIES: EXIT_ANOMALIES,
        NOT_BLESSED: EXIT_NOT_BLESSED,
        STOPPED: stopping.EXIT_CODE,
    }
    return codes.get(summary.status, EXIT_OK)


def show_summary(
    summary: Summary,
    config: RunConfig,
    command: Sequence[str],
    accepted_why: str | None,
    display: Display,
) -> None:
    """Writes the summary into the run's folder, and shows it.

    Args:
        command: that ran the pipeline, as words after `tapeline`, without what it accepted.
        accepted_why: why it accepted anomalies, if it did.
    """
    with told(SUMMARY_FILE, display):
        summary.write()
    if summary.anomalies:
        with told(ANOMALIES_FILE, display):
            write_anomalies(Path(summary.run_dir), summary.anomalies)
    if summary.status == ANOMALIES:
        _show_anomalies(summary, config, command, display)
    elif summary.error:
        accepting = [] if accepted_why is None else ["--accept-anomalies", accepted_why]
        _show_error(summary, [*command, *accepting], display)
    else:
        predict = shell_line("predict", str(config.model_folder), "--sample", "3")
        for line in summary_lines(summary, predict):
            display.say(line)
    emit_outcome(summary, exit_code(summary))
    # Data that somebody checks in the daytime say nothing of the last night.
    if config.monitor.prometheus and command[0] != "check":
        _leave_figures(monitor_path(config.monitor.prometheus), config.name, summary, display)


@contextlib.contextmanager
def told(what: str, display: Display) -> Iterator[None]:
    """Holds the writing of what a run leaves at its end: that it fails is told, and fails no run.

    A full disk that has failed a run fails this, too, and the run's own failure is to be told.
    """
    try:
        yield
    except OSError as error:
        display.say(f"warning    {what}: not written: {error.strerror or error}")


def _leave_figures(path: Path, pipeline: str, summary: Summary, display: Display) -> None:
    """Writes the run's figures for the monitoring, which the run itself does not depend on."""
    with told(f"monitor.prometheus: {path}", display):
        write_run(path, pipeline, summary)


def _show_anomalies(
    summary: Summary, config: RunConfig, command: Sequence[str], display: Display
) -> None:
    """Shows what the gate stopped, and how to go on."""
    assert summary.anomalies is not None
    verb, *configuration = command
    if verb == "resume":
        configuration = [f"{summary.run_dir}/{CONFIG_FILE}"]
    else:
        command = ["run", *configuration]
    for line in [
        "",
        *anomaly_lines(summary.anomalies),
        "stopped    nothing was trained or pushed; the serving directory is as it was",
        *answers(command, configuration, config.schema.path),
        f"log        {summary.run_dir}/{LOG_FILE}",
    ]:
        display.say(line)


def _show_error(summary: Summary, command: Sequence[str], display: Display) -> None:
    """Shows what failed, and the commands that go on: one for the run, one for what was changed."""
    assert summary.error is not None
    display.say(
        f"\n{summary.status:<10} {summary.error['node']}: {summary.error['cause']}\n"
        f"log        {summary.run_dir}/{LOG_FILE}\n"
        f"go on      {shell_line(*command)}"
    )
    if command[0] != "resume":
        display.say(f"same run   {shell_line('resume', summary.run_dir)}")
