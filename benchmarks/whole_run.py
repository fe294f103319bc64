"""Times a whole digits run, from nothing and all cached, against importing TFX's public API.

    make bench

Importing `tfx.v1` is what any TFX program pays before it starts, and it scales with the machine:
the ratios hold where seconds do not. The three are timed in turn, round after round.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CONFIG = Path(__file__).resolve().parent.parent / "configs" / "digits.yaml"


def _seconds(command: list[str]) -> float:
    began = time.monotonic()
    subprocess.run(command, check=True, capture_output=True)
    return time.monotonic() - began


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.whole_run", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    tapeline = [sys.executable, "-m", "pipeline.cli", "run", str(CONFIG)]
    seconds: dict[str, list[float]] = {"import": [], "run": [], "cached": []}
    for number in range(1, rounds + 1):
        with tempfile.TemporaryDirectory() as root:
            at_root = [*tapeline, "--set", f"root={root}"]
            seconds["import"].append(_seconds([sys.executable, "-c", "from tfx import v1"]))
            seconds["run"].append(_seconds(at_root))
            seconds["cached"].append(_seconds(at_root))
        print(f"round {number} of {rounds} done", file=sys.stderr)
    print(f"{'':<24}{'median s':>10}{'ratio':>8}{'lowest':>8}{'highest':>8}{'allowed':>9}")
    for name, label, allowed in (
        ("import", "from tfx import v1", None),
        ("run", "run, nothing cached", 8.0),
        ("cached", "run, all cached", 2.5),
    ):
        ratios = [
            value / base for value, base in zip(seconds[name], seconds["import"], strict=True)
        ]
        print(
            f"{label:<24}{statistics.median(seconds[name]):>10.1f}"
            f"{statistics.median(ratios):>8.2f}{min(ratios):>8.2f}{max(ratios):>8.2f}"
            f"{'' if allowed is None else allowed:>9}"
        )


if __name__ == "__main__":
    main()
