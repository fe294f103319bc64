"""The folder of a run: how it was asked for, its configuration, log and summary.

<root>/<pipeline>/runs/<run id>/    run.json  config.yaml  run.log  summary.json
"""

from __future__ import annotations

import contextlib
import datetime
import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pipeline.config import RunConfig
from pipeline.config_file import ConfigError, Problem, dump_config, load_config
from serving.atomic_files import exclusive, replace_text

LOG_FILE = "run.log"
CONFIG_FILE = "config.yaml"
REQUEST_FILE = "run.json"

_HALF_MADE = (
    "no such file: the run ended before it had begun",
    "a run that had begun: start this one again with `tapeline run`",
)

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,199}")


@dataclass(frozen=True)
class Request:
    """How a run was asked for, besides its configuration.

    Attributes:
        working_directory: that relative paths of the configuration are relative to.
        parameters: runtime parameters of the compiled pipeline, such as `span`.
        to_gate: it ends with the verdict on the data.
    """

    working_directory: str
    parameters: dict[str, str] = field(default_factory=dict)
    to_gate: bool = False


def new_run_id() -> str:
    """Returns an id by the time, which no other run of a machine has."""
    return datetime.datetime.now().strftime("%Y%m%d-%H%M%S-%f")


def check_run_id(run_id: str) -> str:
    """Returns an id that is fit for the name of a folder.

    Raises:
        ConfigError: if it is not.
    """
    if not _RUN_ID.fullmatch(run_id):
        allowed = "letters, digits, `_`, `.` and `-`, the first a letter or a digit, at most 200"
        raise ConfigError(Problem("node", "--run-id", repr(run_id), allowed))
    return run_id


def make_run_folder(config: RunConfig, run_id: str, request: Request) -> Path:
    """Makes a run's folder with the resolved configuration, or returns the one that is there."""
    folder = config.pipeline_root / "runs" / run_id
    # Nodes of a scheduled run may begin at the same time.
    with exclusive(folder, create=True):
        if not (folder / REQUEST_FILE).exists():
            replace_text(folder / CONFIG_FILE, dump_config(config))
            replace_text(folder / REQUEST_FILE, json.dumps(asdict(request)) + "\n")
    return folder


def read_request(folder: Path) -> tuple[RunConfig, Request]:
    """Returns what the run in a folder was asked for, from its working directory.

    Raises:
        ConfigError: if the folder has no such files.
    """
    path = folder / REQUEST_FILE
    try:
        request = Request(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        found = error.strerror if isinstance(error, OSError) else "no request of a run"
        allowed = "a run's folder"
        if isinstance(error, FileNotFoundError) and (folder / CONFIG_FILE).exists():
            found, allowed = _HALF_MADE
        raise ConfigError(Problem(str(path), "(file)", str(found), allowed)) from error
    return load_config(str(folder / CONFIG_FILE)), request


def run_config(folder: Path) -> RunConfig:
    """Returns the configuration of a run, its root being where the run's folder is by now.

    Raises:
        ConfigError: if it cannot be read.
    """
    config = load_config(str(folder / CONFIG_FILE))
    # The file's own is relative to the folder that the run was started in.
    return config.model_copy(update={"root": str(folder.parent.parent.parent)})


def began_at(folder: Path) -> str:
    """Returns when a run began, in UTC as ISO 8601 has it: its first files are as old."""
    file = folder / CONFIG_FILE
    seconds = (file if file.is_file() else folder).stat().st_mtime
    at = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")


def begun_runs(root: Path, pipeline: str = "*") -> list[Path]:
    """Returns the folders of runs with their configuration, the one that began last at the end.

    Args:
        root: of the configurations.
        pipeline: its name; `*`: of all of them.
    """
    began = {}
    for path in root.glob(f"{pipeline}/runs/*/{CONFIG_FILE}"):
        # `tapeline gc` may remove it at this moment.
        with contextlib.suppress(FileNotFoundError):
            began[path.parent] = path.stat().st_mtime_ns
    return sorted(began, key=lambda folder: (began[folder], folder.name))


def has_runs(root: Path) -> bool:
    """Returns whether a folder is a root that pipelines were run under."""
    return any(path.is_dir() for path in root.glob("*/runs"))


def find_run(run: str | None, root: Path) -> Path:
    """Returns the folder of a run.

    Args:
        run: its folder, or its id; None: the one that began last.
        root: of the configurations, in which ids are looked up.

    Raises:
        ConfigError: if there is none, or more than one.
    """
    if run is not None and _is_of_run(Path(run)):
        return _whole(Path(run))
    known = begun_runs(root)
    if run is None and known:
        return known[-1].resolve()
    found = [folder for folder in root.glob("*/runs/*") if folder.name == run]
    if len(found) == 1:
        return _whole(found[0])
    if found:
        allowed = f"the folder of one: {', '.join(map(str, found))}"
        raise ConfigError(Problem("runs", "RUN", f"{len(found)} runs of the id {run}", allowed))
    latest = f", such as {known[-1].name}" if known else ""
    allowed = f"a run's folder, or the id of one under {root}{latest}"
    raise ConfigError(Problem("runs", "RUN", f"{run or 'nothing'}, no run", allowed))


def _is_of_run(folder: Path) -> bool:
    """Returns whether a folder is of a run, if only of one that was killed while it was made."""
    if (folder / CONFIG_FILE).is_file():
        return True
    # A pipeline's folder, and a root, may be in a folder of that name too.
    is_higher = (folder / "runs").is_dir() or has_runs(folder)
    return folder.is_dir() and folder.parent.name == "runs" and not is_higher


def _whole(folder: Path) -> Path:
    """Returns the folder of a run, whose configuration is in it.

    Raises:
        ConfigError: if the run was killed, or the disk was full, while the folder was made.
    """
    if not (folder / CONFIG_FILE).is_file():
        raise ConfigError(Problem(str(folder / CONFIG_FILE), "(file)", *_HALF_MADE))
    return folder.resolve()
