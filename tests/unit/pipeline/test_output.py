"""What reaches the terminal of a run, and what its log."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

RUN = """
import os, subprocess, sys
from pathlib import Path
from pipeline.output import CapturedOutput

print("before")
with CapturedOutput() as output:
    os.write(1, b"early C++ stdout\\n")
    os.write(2, b"early C++ stderr\\n")
    print("early print")
    output.log_to(Path("run.log"))
    os.write(1, b"late C++ stdout\\n")
    os.write(2, b"late C++ stderr\\n")
    print("late print", file=sys.stderr, flush=True)
    subprocess.run(["echo", "child"], check=True)
    print("answer", file=output.stdout)
    print("note", file=output.stderr)
    print("last print")
print("after")
print("after, to stderr", file=sys.stderr)
"""

REFUSED = """
import os
from pipeline.output import CapturedOutput

with CapturedOutput():
    os.write(2, b"noise\\n")
    raise SystemExit("refused")
"""

FULL_LOG = """
import sys
from pathlib import Path
from pipeline.output import CapturedOutput

with CapturedOutput() as output:
    output.log_to(Path("/dev/full"))
    print("line of a library")
    sys.stdout.write("never flushed")
    print("answer", file=output.stdout)
print("after")
"""

ANSWER = """
from pipeline.output import CapturedOutput

with CapturedOutput() as output:
    print("answer", file=output.stdout)
    print("more", file=output.stdout)
"""


def python(program: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program], cwd=cwd, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="module")
def done(folder) -> subprocess.CompletedProcess[str]:
    done = python(RUN, folder)
    assert done.returncode == 0, done.stderr
    return done


def test_terminal_when_output_is_captured_then_shows_only_what_is_for_it(done) -> None:
    assert done.stdout.splitlines() == ["before", "answer", "after"]
    assert done.stderr.splitlines() == ["note", "after, to stderr"]


def test_log_when_the_run_gets_its_folder_then_has_the_early_output_too(done, folder) -> None:
    log = (folder / "run.log").read_text().splitlines()

    assert log == [
        "early C++ stdout",
        "early C++ stderr",
        "early print",
        "late C++ stdout",
        "late C++ stderr",
        "late print",
        "child",
        "last print",
    ]


def test_log_when_there_is_one_then_is_appended_to(tmp_path) -> None:
    (tmp_path / "run.log").write_text("there already\n")

    assert python(RUN, tmp_path).returncode == 0

    assert (tmp_path / "run.log").read_text().startswith("there already\nearly C++ stdout\n")


def test_terminal_when_the_run_is_refused_then_is_restored_and_nothing_is_left(tmp_path) -> None:
    done = python(REFUSED, tmp_path)

    assert (done.returncode, done.stdout, done.stderr) == (1, "", "refused\n")
    assert list(tmp_path.iterdir()) == []


def test_log_when_its_disk_is_full_then_loses_lines_and_fails_nothing(tmp_path) -> None:
    done = python(FULL_LOG, tmp_path)

    assert (done.returncode, done.stdout, done.stderr) == (0, "answer\nafter\n", "")


def test_log_when_it_cannot_hold_the_early_output_then_says_so(tmp_path) -> None:
    opening = "with CapturedOutput() as output:\n"
    early = FULL_LOG.replace(opening, f"{opening}    print('early', flush=True)\n")
    done = python(early, tmp_path)

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "OSError: [Errno 28] No space left on device"


def test_answer_when_the_disk_of_stdout_is_full_then_comes_out_on_stderr(tmp_path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", ANSWER],
            cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "answer\nmore\n")


def test_answer_when_nobody_reads_it_any_more_then_ends_the_run_as_it_would(tmp_path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", f"input()\n{ANSWER}"],
        cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    assert process.communicate("\n") == (None, "")
    assert process.returncode == 0
