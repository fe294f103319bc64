"""Stands for `tapeline` where only what the DAG does is tested: `node` and `finish` by a plan.

    python fake_tapeline.py FOLDER node DIR NODE --run-id ID ...

`FOLDER/plan.json` says what the attempts of a node do, one after the other, the last one for all
that follow: an exit code, a signal as a negative number, or `wait`. `FOLDER/calls.jsonl` is what
was called.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path


def main() -> int:
    folder, words = Path(sys.argv[1]), sys.argv[2:]
    name = words[2] if words[0] == "node" else "finish"
    calls = folder / "calls.jsonl"
    before = [json.loads(line) for line in calls.read_text().splitlines()] if calls.exists() else []
    attempts = sum(call["name"] == name for call in before)
    secrets = sorted(key for key in os.environ if key.startswith("AIRFLOW__"))
    call = {
        "name": name,
        "words": words,
        "pid": os.getpid(),
        "parent": os.getppid(),
        "directory": os.getcwd(),
        "secrets": secrets,
    }
    plan = json.loads((folder / "plan.json").read_text()).get(name, [0])
    step = plan[min(attempts, len(plan) - 1)]
    if step == "wait":
        # One that outlives it, keeps its output open, and does not heed SIGTERM.
        child = subprocess.Popen(
            [sys.executable, "-I", "-c", "import signal, time; "
             "signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(3600)"]
        )  # fmt: skip
        call["child"] = child.pid
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with calls.open("a") as file:
        file.write(json.dumps(call) + "\n")
    print(f"{name} says {step}", flush=True)
    if name == "finish":
        run_folder = Path(words[1], "root", "runs", words[words.index("--run-id") + 1])
        run_folder.mkdir(parents=True)
        (run_folder / "summary.json").write_text('{"status": "failed"}')
    if step == "wait":
        time.sleep(3600)
    if step < 0:
        os.kill(os.getpid(), -step)
    if step:
        print(f"failed     {name}: RuntimeError: the cause\nlog        somewhere", flush=True)
    return step


if __name__ == "__main__":
    sys.exit(main())
