"""The commands of the page on submitting, word for word but for the folder and the server."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest


def commands(repository: Path) -> list[list[str]]:
    page = (repository / "docs" / "kubeflow.md").read_text()
    return [shlex.split(line) for line in re.findall(r"^    tapeline (.*)$", page, re.MULTILINE)]


def test_page_commands_when_typed_in_order_then_server_takes_them(
    repository, api_server, compiled, tapeline
):
    lines = commands(repository)
    assert len(lines) >= 9
    for words in lines:
        here = [str(compiled) if word == "build/digits" else word for word in words]
        here = [api_server.host if word == "http://localhost:8888" else word for word in here]
        done = tapeline(*here, cwd=compiled, env={"KF_PIPELINES_ENDPOINT": api_server.host})
        assert done.code == 0, f"{words}\n{done}"
    assert len(api_server.sent("/runs")) == 3
    assert len(api_server.sent("/recurringruns")) == 2
    assert api_server.record["recurring"] == []


@pytest.mark.parametrize("what", ["tensorflow-cpu", "10001", "/opt/tapeline"])
def test_page_on_the_image_when_read_then_dockerfile_agrees(repository, what):
    folder = repository / "pipeline" / "runners" / "kubeflow" / "images"
    page = (repository / "docs" / "kubeflow.md").read_text()
    assert what in page
    assert what in (folder / "pipeline.Dockerfile").read_text()
