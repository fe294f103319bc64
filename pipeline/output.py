"""Keeps the terminal for the person: all else that the process prints goes to the run's log."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import sys
from pathlib import Path
from typing import IO, Any, TextIO

_OUT, _ERR = 1, 2


class CapturedOutput:
    """Sends stdout and stderr, of C++ code too, to a file; keeps the real ones at hand.

    Until the run has a folder the file is one in memory, whose content the log begins with: nothing
    is written where a run that is refused would leave it. A disk that is full fails no run by way
    of its log, and what one of the real streams does not take goes to the other.

    Attributes:
        stdout, stderr: the streams that the process began with.
    """

    def __init__(self) -> None:
        self._before = (sys.stdout, sys.stderr)
        for stream in self._before:
            stream.flush()
        self._saved = {target: os.dup(target) for target in (_OUT, _ERR)}
        self.stdout = _stream(_Unfailing(self._saved[_OUT], self._saved[_ERR]))
        self.stderr = _stream(_Unfailing(self._saved[_ERR], self._saved[_OUT]))
        sys.stdout, sys.stderr = _stream(_Unfailing(_OUT)), _stream(_Unfailing(_ERR))
        self._file: IO[bytes] = os.fdopen(os.memfd_create("tapeline-output"), "w+b", buffering=0)
        self._redirect(self._file.fileno())

    def __enter__(self) -> CapturedOutput:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._flush()
        sys.stdout, sys.stderr = self._before
        for target, saved in self._saved.items():
            os.dup2(saved, target)
        # Closes what is saved, too.
        self.stdout.close()
        self.stderr.close()
        self._file.close()

    def log_to(self, path: Path) -> None:
        """Moves what has been captured to `path`, and captures there from now on.

        Raises:
            OSError: if it cannot be written.
        """
        self._flush()
        log = path.open("ab", buffering=0)
        self._file.seek(0)
        shutil.copyfileobj(self._file, log)
        self._redirect(log.fileno())
        self._file.close()
        self._file = log

    def _flush(self) -> None:
        """Empties the buffers of Python's streams: what the log does not take is dropped.

        In those of before, which others may hold, it would come out on the terminal later, or fail
        the end of the process.
        """
        sys.stdout.flush()
        sys.stderr.flush()
        for stream in self._before:
            try:
                stream.flush()
            except OSError:
                with Path(os.devnull).open("wb") as nowhere:
                    self._redirect(nowhere.fileno())
                    stream.flush()
                self._redirect(self._file.fileno())

    @staticmethod
    def _redirect(descriptor: int) -> None:
        os.dup2(descriptor, _OUT)
        os.dup2(descriptor, _ERR)


def _stream(raw: _Unfailing) -> TextIO:
    return io.TextIOWrapper(io.BufferedWriter(raw), line_buffering=True)


class _Unfailing(io.FileIO):
    """A stream whose disk may be full, or whose reader may be gone, which is no failure of a run.

    Args:
        descriptor: of the stream; it is closed with it if there is another.
        other: of the one that takes what this one does not; None: that is dropped.
    """

    def __init__(self, descriptor: int, other: int | None = None) -> None:
        super().__init__(descriptor, "w", closefd=other is not None)
        self._other = other

    def write(self, content: Any) -> int:
        try:
            return super().write(content) or 0
        except BrokenPipeError:
            pass
        except OSError:
            if self._other is not None:
                with contextlib.suppress(OSError):
                    os.write(self._other, content)
        return len(content)
