"""A cluster of processes on this machine: started, watched, and never left behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from trainer_module import stopping, watchdog
from trainer_module.config.job import Job
from trainer_module.job import JobResult
from trainer_module.progress_pipe import PipeReader

_POLL_SECONDS = 0.1
_LAST_LINES = 8
_GRACE_SECONDS = 5.0
_SAVE_SECONDS = 120.0
_LEAVE_SECONDS = 60.0
_BAD_INPUT = 2


class WorkerDied(RuntimeError):
    """A process of the cluster ended before the training did."""


@dataclass(frozen=True)
class Member:
    """A process of the cluster, such as `worker 1`, and where its output goes."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def code(self) -> int | None:
        return self.process.poll()


def train_locally(job: Job) -> JobResult:
    """Trains in `train.local_workers` processes on loopback, and waits for them.

    The progress of the chief is emitted here. A request to stop is passed on.

    Raises:
        ValueError: if the job cannot run as it is written.
        WorkerDied: if one of them died; it names its log.
        Interrupted: if they were asked to stop, and have saved.
    """
    logs = Path(job.folder) / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    path = Path(job.folder) / "cluster-job.json"
    alone = job.train.model_copy(update={"local_workers": None, "parameter_servers": 1})
    path.write_text(
        job.model_copy(update={"train": alone, "output": None}).model_dump_json(indent=2), "utf-8"
    )
    with reserve_addresses(_roles(job)) as cluster:
        reading, writing = os.pipe()
        reader = PipeReader(reading, kept=("result",))
        members: list[Member] = []
        try:
            for role, addresses in cluster.items():
                for index in range(len(addresses)):
                    chief = not members
                    members.append(
                        _start(role, index, cluster, path, logs, writing if chief else None)
                    )
            os.close(writing)
            return _watch(members, reader, job)
        finally:
            _end(members, _GRACE_SECONDS)
            reader.close()


def end_with(parent: int) -> None:
    """Ends this process when its parent is gone, however that ended.

    Asked for every second: a signal on the parent's death (prctl) goes by the thread that started
    the process, and a pipe stays open in whatever else the parent forked.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, name="parent", daemon=True).start()


@contextlib.contextmanager
def reserve_addresses(roles: dict[str, int]) -> Iterator[dict[str, list[str]]]:
    """Holds a free port of loopback for each process; yields the addresses by role.

    The ports stay bound here, so that nobody else gets them; the servers bind them beside us,
    which TF_GRPC_REUSE_PORT allows.
    """
    with contextlib.ExitStack() as stack:
        cluster: dict[str, list[str]] = {}
        for role, count in roles.items():
            cluster[role] = []
            for _ in range(count):
                held = stack.enter_context(socket.socket())
                held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                held.bind(("127.0.0.1", 0))
                cluster[role].append(f"127.0.0.1:{held.getsockname()[1]}")
        yield cluster


def _roles(job: Job) -> dict[str, int]:
    """Returns how many processes of each role there are, the chief first."""
    workers = job.train.local_workers or 1
    if job.train.strategy == "multi_worker":
        return {"worker": workers}
    return {"chief": 1, "ps": job.train.parameter_servers, "worker": workers}


def _start(
    role: str,
    index: int,
    cluster: dict[str, list[str]],
    job: Path,
    logs: Path,
    events: int | None,
) -> Member:
    command = [sys.executable, "-m", "trainer_module"]
    command += [f"--config={job}", f"--parent={os.getpid()}"]
    if events is not None:
        command.append(f"--events={events}")
    environment = {
        **os.environ,
        "TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": role, "index": index}}),
        "TF_GRPC_REUSE_PORT": "true",
        "PYTHONPATH": os.pathsep.join(path for path in ("", *sys.path) if path is not None),
    }
    log = logs / f"{role}-{index}.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=[] if events is None else [events],
            # A Ctrl-C is for this process, which ends the others in order.
            start_new_session=True,
        )
    return Member(f"{role} {index}", process, log)


def _watch(members: list[Member], reader: PipeReader, job: Job) -> JobResult:
    """Waits for the members, the chief of which is the first."""
    chief = members[0]
    stopping.listen()
    try:
        while not stopping.stop_requested():
            reader.relay()
            failed = [member for member in members if member.code]
            if any(member.code == stopping.EXIT_CODE for member in failed):
                break
            if failed:
                _raise_death(failed, job)
            if chief.code == 0:
                _wait(members, _LEAVE_SECONDS if job.train.strategy == "multi_worker" else 5.0)
                reader.relay()
                fields = dict(reader.last["result"])
                del fields["kind"]
                return JobResult(**fields)
            time.sleep(_POLL_SECONDS)
        _stop(members)
        raise stopping.Interrupted(_saved_step(job))
    finally:
        stopping.forget()


def _stop(members: list[Member]) -> None:
    """Asks all to save and leave, and waits while that can come to pass."""
    for member in members:
        _signal(member, signal.SIGTERM)
    end = time.monotonic() + _SAVE_SECONDS
    while time.monotonic() < end and any(member.code is None for member in members):
        if any(member.code not in (None, 0, stopping.EXIT_CODE) for member in members):
            return
        time.sleep(_POLL_SECONDS)


def _raise_death(failed: list[Member], job: Job) -> None:
    # The others notice that one is gone, and go too: it is the one to name.
    causes = [member for member in failed if member.code != watchdog.EXIT_CODE]
    member = (causes or failed)[0]
    code = member.code or 0
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
    text = member.log.read_text(encoding="utf-8", errors="replace")
    last = "\n".join(f"    {line}" for line in text.splitlines()[-_LAST_LINES:])
    message = f"{member.name} {how}; its log is {member.log} and ends with\n{last}\n"
    if code == _BAD_INPUT:
        raise ValueError(message.rstrip())
    raise WorkerDied(f"{message}run again to resume from step {_saved_step(job)}")


def _saved_step(job: Job) -> int:
    saved = sorted(Path(job.train.debug.folder_in(job.folder), "latest").glob("step-*"))
    return int(saved[-1].name.partition("-")[2]) if saved else 0


def _wait(members: list[Member], seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and any(member.code is None for member in members):
        time.sleep(_POLL_SECONDS)


def _end(members: list[Member], grace: float) -> None:
    """Terminates the members that still run, and kills those that do not heed it."""
    for member in members:
        _signal(member, signal.SIGTERM)
    _wait(members, grace)
    for member in members:
        _signal(member, signal.SIGKILL)
        member.process.wait()


def _signal(member: Member, number: int) -> None:
    if member.code is None:
        member.process.send_signal(number)
