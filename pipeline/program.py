"""How this program is called: by other processes, and by a person."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path


def program() -> list[str]:
    """Returns the words by which another process calls it, whatever is on its PATH.

    The installed command, if there is one: `python -m` searches the working directory first, and a
    user's own `pipeline.py` in it would hide this package.
    """
    installed = Path(sys.executable).with_name("tapeline")
    return [str(installed)] if installed.is_file() else [sys.executable, "-m", "pipeline.cli"]


def shell_line(*words: str) -> str:
    """Returns the line that calls it in a shell."""
    return shlex.join([*(["tapeline"] if shutil.which("tapeline") else program()), *words])
