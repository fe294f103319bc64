"""One run from a configuration to a pushed model, or to the reason why not."""

from __future__ import annotations

import datetime
import fcntl
import os
import shlex
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.anomalies import accept, anomaly_lines, answers, write_anomalies
from pipeline.checks import check_inputs, check_task
from pipeline.config_file import ConfigError, Source, dump_config, load_config
from pipeline.display import Display, make_display, summary_lines
from pipeline.output import CapturedOutput
from pipeline.report import (
    ANOMALIES,
    FAILED,
    NOT_BLESSED,
    STOPPED,
    Summary,
    summarize,
    summarize_check,
)
from trainer_module import stopping

if TYPE_CHECKING:
    from pipeline.config import RunConfig
    from trainer_module.tasks.base import Task

EXIT_OK, EXIT_FAILED, EXIT_BAD_INPUT, EXIT_ANOMALIES, EXIT_NOT_BLESSED = 0, 1, 2, 3, 4

LOG_FILE = "run.log"
CONFIG_FILE = "config.yaml"


def run(
    path: str,
    overrides: list[str],
    use_cache: bool,
    as_json: bool,
    accepted_why: str | None = None,
    to_gate: bool = False,
) -> int:
    """Runs a configuration and shows it; returns the exit code.

    Args:
        path: of the YAML file.
        overrides: `key=value` each.
        use_cache: False runs every node again, whatever the configuration says.
        as_json: print the summary as one line of JSON at the end of stdout, and the rest to
            stderr.
        accepted_why: why anomalies that stop the data are accepted; None: they are not.
        to_gate: end with the verdict on the data, before anything is trained.

    Raises:
        ConfigError: before anything is written.
    """
    began = time.monotonic()
    source = Source(path, overrides)
    config = load_config(path, [*overrides, *([] if use_cache else ["cache=false"])])
    check_inputs(config, source)
    sets = [part for item in overrides for part in ("--set", item)]
    accepting = [] if accepted_why is None else ["--accept-anomalies", accepted_why]
    command = [program(), "check" if to_gate else "run", path, *sets, *accepting]
    stopping.stop_on_sigterm()
    with CapturedOutput() as output:
        stream = output.stderr if as_json else output.stdout
        with make_display(stream) as display:
            task = _prepare(config, source)
            run_dir = _make_run_dir(config, source)
            output.log_to(run_dir / LOG_FILE)
            display.say(f"{config.name}  run {run_dir.name}")
            if accepted_why is not None:
                accept(run_dir, accepted_why)
            summary = _execute(config, task, run_dir, display, began, to_gate)
        summary.write()
        if summary.anomalies:
            write_anomalies(run_dir, summary.anomalies)
        if summary.status == ANOMALIES:
            _show_anomalies(summary, config, [program(), "run", path, *sets], display)
        else:
            _show(summary, config, shlex.join(command), display)
        if as_json:
            print(summary.to_json(), file=output.stdout, flush=True)
    codes = {
        FAILED: EXIT_FAILED,
        ANOMALIES: EXIT_ANOMALIES,
        NOT_BLESSED: EXIT_NOT_BLESSED,
        STOPPED: stopping.EXIT_CODE,
    }
    return codes.get(summary.status, EXIT_OK)


def program() -> str:
    """Returns how this command is called from a shell: by its name, or else by its path."""
    return "tapeline" if shutil.which("tapeline") else sys.argv[0]


def _prepare(config: RunConfig, source: Source) -> Task:
    """Sets up the devices, before anything uses them, and makes the task."""
    from trainer_module.strategy import configure_devices

    configure_devices(config.train)
    return check_task(config, source)


def _make_run_dir(config: RunConfig, source: Source) -> Path:
    """Makes the run's folder, named by the time, and writes the resolved configuration into it.

    Raises:
        ConfigError: if another run of the pipeline is going on.
    """
    runs = config.pipeline_root / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    # Held until the process ends: runs share checkpoints and metadata.
    descriptor = os.open(config.pipeline_root, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        found = f"{config.pipeline_root}, where a run is going on"
        allowed = "one run of a pipeline at a time: wait, or set another root"
        raise ConfigError(source.problem("root", found, allowed)) from error
    while True:
        run_dir = runs / datetime.datetime.now().strftime("%Y%m%d-%H%M%S-%f")
        try:
            run_dir.mkdir()
        except FileExistsError:
            continue
        (run_dir / CONFIG_FILE).write_text(dump_config(config), encoding="utf-8")
        return run_dir


def _execute(
    config: RunConfig, task: Task, run_dir: Path, display: Display, began: float, to_gate: bool
) -> Summary:
    """Runs the pipeline in this process; a failure becomes a summary that tells it.

    Raises:
        KeyboardInterrupt: if the person at the terminal had enough.
    """
    from pipeline.beam.engine import running_engine
    from pipeline.compiler import compile_pipeline
    from pipeline.runners.local import LocalRunner, one_line

    try:
        ir = compile_pipeline(config, task, to_gate)
        with running_engine(config.beam):
            LocalRunner().run_compiled(ir, run_dir.name)
        seconds = time.monotonic() - began
        if to_gate:
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
            error=display.failure or {"node": "(none)", "cause": one_line(error)},
        )


def _show_anomalies(
    summary: Summary, config: RunConfig, command: list[str], display: Display
) -> None:
    """Shows what the gate stopped, and how to go on."""
    assert summary.anomalies is not None
    for line in [
        "",
        *anomaly_lines(summary.anomalies),
        "stopped    nothing was trained or pushed; the serving directory is as it was",
        *answers(command, config.schema.path),
        f"log        {summary.run_dir}/{LOG_FILE}",
    ]:
        display.say(line)


def _show(summary: Summary, config: RunConfig, command: str, display: Display) -> None:
    if summary.error:
        display.say(
            f"\n{summary.status:<10} {summary.error['node']}: {summary.error['cause']}\n"
            f"log        {summary.run_dir}/{LOG_FILE}\n"
            f"go on      {command}"
        )
        return
    predict = shlex.join([program(), "predict", str(config.model_folder), "--sample", "3"])
    for line in summary_lines(summary, predict):
        display.say(line)
