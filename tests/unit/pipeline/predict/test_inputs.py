"""Which reader a command's ROWS get."""

from __future__ import annotations

import pytest

from pipeline.config_file import ConfigError
from pipeline.predict.image_rows import ImageRows
from pipeline.predict.inputs import open_rows
from pipeline.predict.record_rows import RecordRows
from pipeline.predict.text_rows import TextRows
from serving.client.metadata import Signature


@pytest.fixture
def files(tmp_path, monkeypatch, picture):
    monkeypatch.chdir(tmp_path)
    for name, content in {
        "rows.csv": b"a\n1\n",
        "more.csv": b"a\n2\n",
        "rows.json": b'{"a": 1}',
        "data_tfrecord-00000-of-00001.gz": b"",
        "cat.jpeg": picture("JPEG"),
        "folder/dog.png": picture("PNG"),
        "odd[1].csv": b"a\n3\n",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)


@pytest.mark.parametrize(
    ("pattern", "kind", "reader"),
    [
        ("rows.csv", "auto", TextRows),
        ("rows.json", "auto", TextRows),
        ("cat.jpeg", "auto", ImageRows),
        ("folder", "auto", ImageRows),
        ("data_tfrecord-00000-of-00001.gz", "auto", RecordRows),
        ("data_*", "auto", RecordRows),
        ("rows.csv", "tfrecord", RecordRows),
        ("rows.csv", "csv", TextRows),
        ("odd[1].csv", "auto", TextRows),
    ],
)
@pytest.mark.usefixtures("files")
def test_rows_when_named_then_read_by_what_the_name_says(pattern, kind, reader) -> None:
    assert type(open_rows([pattern], kind)) is reader


@pytest.mark.usefixtures("files")
def test_rows_when_in_several_files_then_read_one_after_the_other() -> None:
    rows = open_rows(["rows.csv", "m*.csv"], "auto").read(Signature({}, {}, ""))
    assert [(row.source, row.position, row.features) for row in rows] == [
        ("rows.csv", "row 1", {"a": "1"}),
        ("more.csv", "row 1", {"a": "2"}),
    ]


@pytest.mark.usefixtures("files")
def test_rows_when_of_several_kinds_then_refused() -> None:
    with pytest.raises(ConfigError, match=r"found rows.csv \(text\), cat.jpeg \(images\); allowed"):
        open_rows(["rows.csv", "cat.jpeg"], "auto")


def test_rows_when_nothing_matches_then_refused() -> None:
    with pytest.raises(ConfigError, match=r"no\*where.csv: ROWS: found No such file"):
        open_rows(["no*where.csv"], "auto")
