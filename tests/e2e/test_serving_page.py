"""docs/serving.md, followed word for word from `tapeline run` to a curl answer."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.serving_process import free_ports

LIMIT = 300
"""Seconds after which the page counts as hanging."""


@pytest.fixture(scope="module")
def page(repository: Path) -> str:
    return (repository / "docs" / "serving.md").read_text()


@pytest.fixture(scope="module")
def followed(page, digits_again, workdir, tmp_path_factory) -> list[list[str]]:
    """What each line of the page prints, but for other ports than the usual ones.

    One shell runs them, as a reader's does; the run comes from the cache.
    """
    (block,) = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    rest, grpc = free_ports(2)
    script = block.replace("8501", str(rest)).replace("8500", str(grpc))
    folder = tmp_path_factory.mktemp("page")
    said, errors = folder / "said", folder / "errors"
    # What the server says would come between the answers.
    script = script.replace(
        "tapeline serve configs/digits.yaml",
        f"tapeline serve configs/digits.yaml --rest-port {rest} --grpc-port {grpc} "
        f"> {folder}/server 2>&1",
    )
    marked = "".join(f"{line}\necho; echo '---'\n" for line in script.splitlines())
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with said.open("w") as stdout, errors.open("w") as stderr:
        done = subprocess.run(
            # A line that fails leaves no server behind.
            ["bash", "-e", "-m", "-c", f"trap 'kill $(jobs -p) 2>/dev/null' EXIT\n{marked}"],
            cwd=workdir, env={**os.environ, "PATH": path}, stdin=subprocess.DEVNULL,
            stdout=stdout, stderr=stderr, timeout=LIMIT, check=False,
        )  # fmt: skip
    text = said.read_text()
    assert done.returncode == 0, text + errors.read_text()
    return [part.strip().splitlines() for part in text.split("---\n")]


def test_page_leads_from_a_run_to_an_answer_of_curl(page, followed):
    (shown,) = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    status, answer = json.loads("\n".join(followed[2])), json.loads("\n".join(followed[4]))
    assert status["model_version_status"][0]["state"] == "AVAILABLE"
    (found,) = answer["predictions"]
    (expected,) = json.loads(shown)["predictions"]
    assert found.keys() == expected.keys()
    assert found["label"] == str(found["class_id"])
    assert len(found["probabilities"]) == len(expected["probabilities"])
    assert sum(found["probabilities"]) == pytest.approx(1, abs=1e-5)


def test_page_asks_the_same_by_rest_and_grpc(followed):
    answers = [json.loads(line) for line in followed[5]]
    header, *rows = followed[6]
    assert len(answers) == len(rows) == 3
    assert set(header.split(",")) >= {"class_id", "label"}


def test_page_names_files_and_signatures_that_are_pushed(page, digits_run):
    version = Path(digits_run.summary["servable"])
    named = set(re.findall(r"(?:assets\.extra/)?[\w.]+\.(?:pb|pbtxt|json|md|config)\b", page))
    named = {name for name in named if f"]({name})" not in page and f"[{name}]" not in page}
    for name in named - {"request.json", "model_card.md"}:
        assert (version / name).exists() or (version.parent.parent / name).exists(), name
    card = json.loads((version / "assets.extra" / "model_card.json").read_text())
    table = page.partition("| signature |")[2].partition("\n\n")[0]
    rows = set(re.findall(r"`(\w+)`", table))
    assert rows - {"regress"} == set(card["signatures"])  # digits has nothing to regress
