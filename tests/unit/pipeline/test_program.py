"""How this program is called, wherever somebody works and whatever lies there."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

from pipeline import program


def test_program_when_a_users_module_has_its_name_then_is_still_this_one(tmp_path) -> None:
    (tmp_path / "pipeline.py").write_text("raise SystemExit('the other one')\n")
    done = subprocess.run(
        [*program.program(), "--help"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "doctor" in done.stdout


def test_program_when_it_is_not_installed_as_a_command_then_is_a_module(monkeypatch) -> None:
    monkeypatch.setattr(sys, "executable", "/usr/lib/nothing/python3")
    assert program.program() == ["/usr/lib/nothing/python3", "-m", "pipeline.cli"]


def test_line_when_the_command_is_not_on_the_path_then_has_the_whole_path(monkeypatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    expected = [str(Path(sys.executable).with_name("tapeline")), "resume", "a run"]
    assert shlex.split(program.shell_line("resume", "a run")) == expected
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    assert program.shell_line("resume", "a run") == "tapeline resume 'a run'"
