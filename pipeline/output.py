"""Keeps the terminal for the person: all else that the process prints goes to the run's log."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import IO, TextIO


class CapturedOutput:
    """Sends stdout and stderr, of C++ code too, to a file; keeps the real ones at hand.

    Until the run has a folder the file is a temporary one, whose content the log begins with:
    nothing is written where a run that is refused would leave it.

    Attributes:
        stdout, stderr: the streams that the process began with.
    """

    def __init__(self) -> None:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        self._saved = [os.dup(1), os.dup(2)]
        self.stdout: TextIO = os.fdopen(os.dup(1), "w", buffering=1)
        self.stderr: TextIO = os.fdopen(os.dup(2), "w", buffering=1)
        self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  closed by __exit__
        self._redirect(self._file.fileno())

    def __enter__(self) -> CapturedOutput:
        return self

    def __exit__(self, *_exception: object) -> None:
        for stream in (sys.stdout, sys.stderr, self.stdout, self.stderr):
            stream.flush()
        for target, saved in enumerate(self._saved, start=1):
            os.dup2(saved, target)
            os.close(saved)
        self._file.close()

    def log_to(self, path: Path) -> None:
        """Moves what has been captured to `path`, and captures there from now on."""
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        log = path.open("ab", buffering=0)
        self._file.seek(0)
        shutil.copyfileobj(self._file, log)
        self._redirect(log.fileno())
        self._file.close()
        self._file = log

    @staticmethod
    def _redirect(descriptor: int) -> None:
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
