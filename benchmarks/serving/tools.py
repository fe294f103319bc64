"""wrk and h2load, the field's load generators in C, where they are installed.

They cost less than any in Python, and so leave the server more of a small machine. Both are asked
for figures by a script or a file of theirs: their screens differ from version to version.
"""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
from pathlib import Path

from serving.load import Call, GrpcCall, LoadResult, RestCall, run_load
from serving.load.record import percentile

_WRK_SCRIPT = """
local file = io.open(%(body)s, "rb")
wrk.method = "POST"
wrk.body = file:read("*all")
wrk.headers["Content-Type"] = "application/json"
file:close()
function done(summary, latency)
  local bad = summary.errors
  io.write(string.format(
    '\\n{"requests": %%d, "status": %%d, "connection": %%d, "us": %%d, "p50": %%f, "p99": %%f}\\n',
    summary.requests, bad.status, bad.connect + bad.read + bad.write + bad.timeout,
    summary.duration, latency:percentile(50), latency:percentile(99)))
end
"""


def generator(call: Call) -> str:
    """Returns which program makes a load of this call here."""
    tool = "wrk" if isinstance(call, RestCall) else "h2load"
    return tool if shutil.which(tool) else "serving.load"


def make_load(call: Call, clients: int, seconds: float, folder: Path) -> LoadResult:
    """Makes a load by the best program that is here.

    Args:
        folder: for the files that the tools read and write.

    Raises:
        subprocess.CalledProcessError: if the tool fails.
    """
    if generator(call) == "serving.load":
        return run_load(call, clients, seconds, warmup=0.1)
    if isinstance(call, RestCall):
        return _wrk(call, clients, seconds, folder)
    return _h2load(call, clients, seconds, folder)


def _wrk(call: RestCall, clients: int, seconds: float, folder: Path) -> LoadResult:
    body, script = folder / "body.json", folder / "wrk.lua"
    body.write_bytes(call.body)
    script.write_text(_WRK_SCRIPT % {"body": json.dumps(str(body))})
    url = f"http://{call.host}:{call.port}{call.path}"
    options = ["-t1", f"-c{clients}", f"-d{max(1, round(seconds))}s", "--latency", f"-s{script}"]
    done = subprocess.run(["wrk", *options, url], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.strip().splitlines()[-1])
    errors = {kind: found[kind] for kind in ("status", "connection") if found[kind]}
    return LoadResult(
        requests=found["requests"] - found["status"],
        errors=errors,
        seconds=found["us"] / 1e6,
        p50_ms=found["p50"] / 1e3,
        p99_ms=found["p99"] / 1e3,
        total=found["requests"],
    )


def _h2load(call: GrpcCall, clients: int, seconds: float, folder: Path) -> LoadResult:
    body, log = folder / "body.grpc", folder / "h2load.log"
    # gRPC's frame: not compressed, the length, the message.
    body.write_bytes(struct.pack(">BI", 0, len(call.body)) + call.body)
    log.unlink(missing_ok=True)
    duration = max(1, round(seconds))
    headers = ["-Hcontent-type: application/grpc", "-Hte: trailers"]
    options = [f"-c{clients}", "-m1", f"-D{duration}", f"-d{body}", f"--log-file={log}", *headers]
    subprocess.run(
        ["h2load", *options, f"http://{call.target}{call.method}"],
        capture_output=True,
        text=True,
        check=True,
    )
    # A line each: when it began, the status, how long it took; microseconds.
    lines = [line.split("\t") for line in log.read_text().splitlines()]
    answered = sorted(int(line[2]) / 1e6 for line in lines if line[1] == "200")
    failed = len(lines) - len(answered)
    return LoadResult(
        requests=len(answered),
        errors={"status": failed} if failed else {},
        seconds=float(duration),
        p50_ms=percentile(answered, 50) * 1e3,
        p99_ms=percentile(answered, 99) * 1e3,
        total=len(lines),
    )
