"""The way to the submission environment, where there is none or it is broken.

What it does where there is one is in tests/kubeflow.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.config_file import ConfigError
from pipeline.runners.kubeflow.submitter import Refusal, ask

REQUEST = {"action": "list", "host": "http://127.0.0.1:1"}


def program(folder: Path, text: str) -> Path:
    """A submission environment whose Python is a shell script."""
    python = folder / "python"
    python.write_text(f"#!/bin/sh\ncat > {folder}/request\n{text}\n")
    python.chmod(0o755)
    return python


def test_ask_when_environment_is_missing_then_names_command_that_makes_it(tmp_path):
    with pytest.raises(ConfigError, match=r"found no such file; allowed: .*: make kfp$"):
        ask(REQUEST, print, tmp_path / "python")


def test_ask_when_environment_is_broken_then_says_how_it_ended(tmp_path):
    python = program(tmp_path, "echo noise >&2; echo 'ModuleNotFoundError: kfp' >&2; exit 1")
    with pytest.raises(Refusal) as raised:
        ask(REQUEST, print, python)
    assert str(raised.value) == "asked kfp: it ended with: ModuleNotFoundError: kfp  -> make kfp"


def test_ask_when_answered_then_progress_in_order_and_result(tmp_path):
    python = program(
        tmp_path,
        """echo '{"progress": {"node": "A"}}'; echo '{"progress": {"node": "B"}}'
        echo '{"result": {"state": "SUCCEEDED"}}'""",
    )
    seen: list[dict[str, str]] = []
    assert ask(REQUEST, seen.append, python) == {"state": "SUCCEEDED"}
    assert seen == [{"node": "A"}, {"node": "B"}]
    assert '"action": "list"' in (tmp_path / "request").read_text()


def test_ask_when_refused_then_what_was_asked_and_said_and_what_to_do(tmp_path):
    python = program(
        tmp_path,
        """echo '{"error": {"asked": "to run it", "said": "no", "advice": "wait",
        "local": false}}' | tr -d '\\n'""",
    )
    with pytest.raises(Refusal) as raised:
        ask(REQUEST, print, python)
    assert str(raised.value) == "asked http://127.0.0.1:1 to run it: no  -> wait"
    assert raised.value.told["asked"] == "http://127.0.0.1:1 to run it"


def test_ask_when_nobody_waits_any_more_then_program_is_ended(tmp_path):
    """The `sleep` would hold the pipe, and this test, for a day."""
    python = program(tmp_path, "echo '{\"progress\": {}}'; exec sleep 86400")

    def interrupted(_progress: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ask(REQUEST, interrupted, python)
