"""A client of `warm.py`: commands of `tapeline` that need not import TFX again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path


class WarmTapeline:
    """A process that is forked for each command; started when the first one comes."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def run(
        self, arguments: tuple[str, ...], cwd: Path, stdin: str | None, env: Mapping[str, str]
    ) -> tuple[int, str, str]:
        """Runs a command to its end; returns its exit code, stdout and stderr."""
        with tempfile.TemporaryDirectory() as folder:
            files = {name: Path(folder, name) for name in ("stdin", "stdout", "stderr")}
            files["stdin"].write_text(stdin or "")
            request = {
                "arguments": arguments,
                "cwd": str(cwd),
                "env": {**os.environ, **env},
                **{name: str(path) for name, path in files.items()},
            }
            code = self._ask(request)
            return code, files["stdout"].read_text(), files["stderr"].read_text()

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _ask(self, request: dict[str, object]) -> int:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("warm.py"))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        try:
            line = self._process.stdout.readline()
        except BaseException:
            self.close()  # a test that ran out of time: the answer is for nobody
            raise
        assert line, "the process that has imported TFX is gone"
        return json.loads(line)["code"]
