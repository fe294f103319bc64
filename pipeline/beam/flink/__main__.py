"""A Flink cluster for the data components, on this machine.

    python -m pipeline.beam.flink start      and in another terminal
    tapeline run configs/digits.yaml --set beam.engine=flink
    python -m pipeline.beam.flink status
    python -m pipeline.beam.flink stop       or Ctrl-C in the first

It is a JobManager, two TaskManagers, Beam's job server and a pool of Python workers, all on
loopback; they take about 4 GiB. What ends among TaskManagers and the pool is started again.
Needs Java 17, and Maven for the first start. docs/flink.md says more.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
from pathlib import Path

from pipeline.beam.config import CLUSTER_FILE
from pipeline.beam.flink.cluster_file import NoCluster, read_any_cluster
from pipeline.beam.flink.jars import MissingTool, fetch_jars, find_java
from pipeline.beam.flink.local import FILE, ClusterFailed, LocalCluster, stop
from pipeline.beam.flink.ports import Ports, free_ports
from pipeline.beam.flink.rest import NoAnswer, overview
from pipeline.beam.flink.settings import TASK_MANAGERS


def main() -> int:
    options = _parser().parse_args()
    commands = {"start": _start, "status": _status, "stop": _stop}
    return commands[options.command](options)


def _start(options: argparse.Namespace) -> int:
    folder: Path = options.folder.resolve()
    ports = free_ports() if options.free_ports else Ports(
        rest=options.rest_port, job=options.job_port, worker_pool=options.worker_port
    )  # fmt: skip
    try:
        cluster = _cluster(folder, ports, options)
    except (MissingTool, ClusterFailed) as error:
        return _fail(str(error), 2)
    except subprocess.CalledProcessError as error:
        return _fail(f"Maven ended with exit code {error.returncode}: it could not fetch the jars")
    # SIGINT too: a shell has what it starts in the background ignore it.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        with cluster.running():
            print(_instructions(ports, cluster.file), flush=True)
            cluster.watch(lambda text: print(text, flush=True))
    except ClusterFailed as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        print("stopped", flush=True)
    return 0


def _cluster(folder: Path, ports: Ports, options: argparse.Namespace) -> LocalCluster:
    """Returns a cluster that can be started.

    Raises:
        MissingTool: if Java or Maven is not here.
        ClusterFailed: if another is in the way.
    """
    file = folder / FILE
    try:
        launcher = read_any_cluster(file).processes[0]
    except NoCluster:
        pass
    else:
        if launcher.is_alive():
            raise ClusterFailed(f"{file}: found a cluster that runs; allowed: one a --folder; "
                                "`stop` ends it")  # fmt: skip
        stop(folder)  # what a launcher that was killed has left
    java = find_java()
    jars = fetch_jars(options.jars.resolve(), lambda text: print(text, file=sys.stderr))
    taken = ports.taken()
    if taken:
        raise ClusterFailed(
            f"ports: found {', '.join(map(str, taken))} taken; allowed: others, by --rest-port, "
            "--job-port and --worker-port, or --free-ports"
        )
    return LocalCluster(folder, java, jars, ports, options.task_managers)


def _status(options: argparse.Namespace) -> int:
    try:
        cluster = read_any_cluster(options.folder / FILE)
    except NoCluster as error:
        print(f"no cluster: {error}")
        return 1
    for process in cluster.processes:
        print(
            f"{process.name:<16} pid {process.pid:<8} {'runs' if process.is_alive() else 'ended'}"
        )
    try:
        found = overview(cluster.flink_master, 5.0)
    except NoAnswer as error:
        print(error)
        return 1
    print(f"{found.task_managers} TaskManagers with {found.slots} slots at {cluster.flink_master}")
    return 0 if found.task_managers else 1


def _stop(options: argparse.Namespace) -> int:
    print("stopped" if stop(options.folder) else f"no cluster runs by {options.folder / FILE}")
    return 0


def _instructions(ports: Ports, file: Path) -> str:
    shown = file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file
    cluster = "" if str(shown) == CLUSTER_FILE else f" --set beam.cluster={shown}"
    return (
        f"Flink runs: http://localhost:{ports.rest}\n"
        f"try it     tapeline run configs/digits.yaml --set beam.engine=flink{cluster}\n"
        f"end it     Ctrl-C, or python -m pipeline.beam.flink stop --folder {shown.parent}"
    )


def _fail(text: str, code: int = 1) -> int:
    print(f"error: {text}", file=sys.stderr)
    return code


def _interrupt(_number: int, _frame: object) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.beam.flink",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    start = commands.add_parser("start", help="start a cluster, and run until Ctrl-C")
    status = commands.add_parser("status", help="its processes; exit 1 if it takes no jobs")
    ending = commands.add_parser("stop", help="end every process of a cluster")
    default = Path(CLUSTER_FILE).parent
    for command in (start, status, ending):
        command.add_argument(
            "--folder", type=Path, default=default,
            help=f"of the cluster's file, settings and logs ({default})",
        )  # fmt: skip
    ports = Ports()
    start.add_argument("--task-managers", type=int, default=TASK_MANAGERS, metavar="N")
    start.add_argument(
        "--jars", type=Path, default=default, help=f"folder that Maven's jars go to ({default})"
    )
    start.add_argument("--rest-port", type=int, default=ports.rest, help=f"Flink's ({ports.rest})")
    start.add_argument("--job-port", type=int, default=ports.job, help=f"Beam's ({ports.job})")
    start.add_argument(
        "--worker-port", type=int, default=ports.worker_pool,
        help=f"of the pool of Python workers ({ports.worker_pool})",
    )  # fmt: skip
    start.add_argument("--free-ports", action="store_true", help="any ports, for a second cluster")
    return parser


if __name__ == "__main__":
    sys.exit(main())
