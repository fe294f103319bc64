"""Asks Kubeflow through the submission environment: a kfp that TFX cannot have beside it."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.config_file import ConfigError, Problem

_CHECKOUT = Path(__file__).resolve().parents[3]
KFP_PYTHON = _CHECKOUT / ".venv-kfp" / "bin" / "python"
_PROGRAM = "pipeline.runners.kubeflow.submission"
TOKEN_FILE = "KF_PIPELINES_SA_TOKEN_PATH"  # noqa: S105  a variable of kfp's


class Refusal(Exception):
    """What was asked of Kubeflow and not done; the text says what, why, and what to do.

    Attributes:
        told: the same in parts: `asked`, `said`, `advice`.
    """

    def __init__(self, host: str, asked: str, said: str, advice: str, local: bool) -> None:
        whom = "" if local else f"{host} "
        super().__init__(f"asked {whom}{asked}: {said}  -> {advice}")
        self.told = {"asked": f"{whom}{asked}", "said": said, "advice": advice}


def ask(
    request: dict[str, Any], on_progress: Callable[[dict[str, Any]], None], python: Path
) -> dict[str, Any]:
    """Returns the result of a request to the submission program.

    Args:
        request: `action`, `host` and what the action takes; goes over stdin, not into `ps`.
        on_progress: is called with each message on the way.
        python: of the submission environment.

    Raises:
        ConfigError: where the environment is missing.
        Refusal: if it was not done.
    """
    if not python.exists():
        allowed = "the submission environment; this makes it: make kfp"
        raise ConfigError(Problem("kubeflow", str(python), "no such file", allowed))
    # Found by this path alone: what the user's folder and PYTHONPATH hold is TFX's.
    environment = {**os.environ, "PYTHONPATH": str(_CHECKOUT)}
    if TOKEN_FILE in environment:
        environment[TOKEN_FILE] = str(Path(environment[TOKEN_FILE]).absolute())
    with (
        tempfile.TemporaryFile("w+") as said,
        subprocess.Popen(
            [str(python), "-m", _PROGRAM],
            cwd=_CHECKOUT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
        ) as program,
    ):
        assert program.stdin is not None
        assert program.stdout is not None
        try:
            program.stdin.write(json.dumps(request))
            program.stdin.close()
            for line in program.stdout:
                answer = json.loads(line)
                if "progress" in answer:
                    on_progress(answer["progress"])
                elif "error" in answer:
                    raise Refusal(request["host"], **answer["error"])
                else:
                    return dict(answer["result"])
        finally:
            program.kill()  # it has answered, or nobody waits for it any more
        said.seek(0)
        lines = said.read().strip().splitlines()
    last = lines[-1] if lines else "nothing"
    raise Refusal(request["host"], "kfp", f"it ended with: {last}", "make kfp", local=True)
