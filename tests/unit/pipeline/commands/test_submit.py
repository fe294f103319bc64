"""Arguments of `tapeline submit` and `tapeline schedule`; tests/kubeflow has the rest."""

from __future__ import annotations

import pytest

from tests.compiled import write_compiled


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    return write_compiled(tmp_path_factory.mktemp("package") / "compiled")


NOWHERE = {"KF_PIPELINES_ENDPOINT": ""}


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("submit", "{}"), "--host: found nothing; allowed: http://HOST:PORT or https://"),
        (("submit", "{}", "--host", "localhost:8888"), "--host: found localhost:8888; allowed:"),
        (
            ("submit", "{}", "--host", "http://me:secret@there"),
            "--host: found an address with a user in it",
        ),
        (("submit", "{}", "--timeout", "5"), "--timeout: found no --wait"),
        (("submit", "{}", "--name", " "), "--name: found ' '"),
        (("submit", "nowhere"), "nowhere: DIR: found"),
        (("schedule", "{}"), "--cron, --every: found neither; allowed: one of them"),
        (
            ("schedule", "{}", "--cron", "0 2 * * *", "--every", "1d"),
            "--cron, --every: found both; allowed: one of them",
        ),
        (("schedule", "create", "{}", "--cron", "2 *", "--host", "http://there"), "five fields"),
        (("schedule", "list", "nowhere"), "nowhere: DIR: found"),
    ],
)
def test_arguments_when_wrong_then_code_2_and_what_is_allowed(compiled, tapeline, words, problem):
    words = [str(compiled) if word == "{}" else word for word in words]
    done = tapeline(*words, cwd=compiled, env=NOWHERE)
    assert done.code == 2, done
    assert problem in done.stderr
    assert "secret" not in done.stderr
    assert done.stdout == ""


def test_schedule_help_when_asked_then_names_every_command(compiled, tapeline):
    done = tapeline("schedule", "--help", cwd=compiled)
    assert done.code == 0, done
    for command in ("create", "list", "enable", "disable", "delete"):
        assert f"  {command} " in done.stdout
