"""Answers as JSON lines and CSV, and files that are whole or absent."""

from __future__ import annotations

import csv
import io
import json
import os

import pytest

from pipeline.config_file import ConfigError
from pipeline.predict.text_rows import TextRows
from pipeline.predict.writers import WRITERS, output_file
from serving.client.metadata import Signature

ANSWERS = [
    {"label": "ö, x".encode(), "p": [0.5, 0.25], "key_bytes": b"a", "raw": b"\xff", "n": 2**63 - 1},
    {"label": b"", "p": [float("nan"), 1.0], "key_bytes": b"", "raw": b"text", "n": -1},
]


def written(kind: str) -> str:
    stream = io.StringIO()
    write = WRITERS[kind](stream)
    for answer in ANSWERS:
        write(answer)
    return stream.getvalue()


def test_json_lines_when_written_then_text_is_text_and_bytes_are_base64() -> None:
    assert written("jsonl").splitlines() == [
        '{"label": "ö, x", "p": [0.5, 0.25], "key_bytes": {"b64": "YQ=="}, '
        '"raw": {"b64": "/w=="}, "n": 9223372036854775807}',
        '{"label": "", "p": [NaN, 1.0], "key_bytes": {"b64": ""}, "raw": "text", "n": -1}',
    ]


def test_csv_when_written_then_a_header_and_vectors_as_json() -> None:
    first, second = csv.DictReader(io.StringIO(written("csv")))
    assert first == {
        "label": "ö, x",
        "p": "[0.5, 0.25]",
        "key_bytes": '{"b64": "YQ=="}',
        "raw": '{"b64": "/w=="}',
        "n": "9223372036854775807",
    }
    assert json.loads(second["key_bytes"]) == {"b64": ""}
    assert written("csv").splitlines()[0] == "label,p,key_bytes,raw,n"


@pytest.mark.parametrize("text", ["a\rb", "\r", "a\nb", "a\r\nb", "\r\n", '"', "a,b", "", "é"])
def test_csv_when_read_again_then_the_same(tmp_path, text) -> None:
    path = tmp_path / "answers.csv"
    with output_file(path) as stream:
        write = WRITERS["csv"](stream)
        for number in range(2):
            write({"text": text.encode(), "n": number, "a\rb": 1})
    with path.open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [
            ["text", "n", "a\rb"], [text, "0", "1"], [text, "1", "1"]
        ]  # fmt: skip
    rows = TextRows(str(path), "csv").read(Signature({}, {}, "tensorflow/serving/predict"))
    assert [str(row.features["text"]) for row in rows] == [text, text]
    assert path.read_bytes().endswith(b",1,1\n")


def test_file_when_all_is_written_then_takes_its_place(tmp_path) -> None:
    path = tmp_path / "answers.csv"
    path.write_text("of yesterday")
    with output_file(path) as stream:
        stream.write("of today")
        assert path.read_text() == "of yesterday"
    assert path.read_text() == "of today"
    assert list(tmp_path.iterdir()) == [path]


def test_file_when_the_path_is_a_link_then_what_it_leads_to_is_replaced(tmp_path) -> None:
    (tmp_path / "data").mkdir()
    target, link = tmp_path / "data" / "answers.csv", tmp_path / "latest.csv"
    target.write_text("of yesterday")
    link.symlink_to(target)
    with output_file(link) as stream:
        stream.write("of today")
        assert target.read_text() == "of yesterday"
    assert link.is_symlink()
    assert target.read_text() == "of today"
    assert [path.name for path in target.parent.iterdir()] == ["answers.csv"]


def test_file_when_the_path_is_a_pipe_then_written_to_and_left_there(tmp_path) -> None:
    pipe = tmp_path / "answers"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with output_file(pipe) as stream:
            stream.write("of today")
        assert pipe.is_fifo()
        assert os.read(reader, 100) == b"of today"
    finally:
        os.close(reader)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_file_when_the_job_fails_then_as_it_was(tmp_path, error) -> None:
    path = tmp_path / "answers.csv"
    path.write_text("of yesterday")
    with pytest.raises(error), output_file(path) as stream:
        stream.write("half")
        raise error
    assert path.read_text() == "of yesterday"
    assert list(tmp_path.iterdir()) == [path]


def test_file_when_it_cannot_be_written_then_refused(tmp_path) -> None:
    (tmp_path / "circle").symlink_to("circle")
    for path in (tmp_path, tmp_path / "nowhere" / "answers.csv", tmp_path / "circle"):
        with (
            pytest.raises(ConfigError, match=f"{path}: --output: found .*; allowed: a file"),
            output_file(path),
        ):
            raise AssertionError("opened")
