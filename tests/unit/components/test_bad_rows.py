"""Rows that cannot be used: each kind ends the run, or is put aside and counted, as is asked."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from pydantic import TypeAdapter

from components.example_gen.config import DataConfig
from components.example_gen.examples import to_example
from components.example_gen.intake import read_intake
from components.example_gen.source import BadRow, DataError

ROWS = [{"x": number, "y": number % 2} for number in range(60)]
CSV = b"x,y\n" + b"".join(
    b"%(x)d,%(y)d\n" % {k.encode(): v for k, v in row.items()} for row in ROWS
)


def csv(bad, **keys):
    """60 good rows of CSV and a bad one, in line 62."""

    def make(folder, _picture):
        path = folder / "data.csv"
        path.write_bytes(CSV + bad + b"\n")
        return {"source": "csv", "path": str(path), "columns": {"x": "int"}} | keys

    return make


def csv_without_a_column(folder, _picture):
    (folder / "rows").mkdir()
    (folder / "rows" / "a.csv").write_bytes(CSV)
    (folder / "rows" / "b.csv").write_text("y\n1\n")
    return {"source": "csv", "path": str(folder / "rows"), "columns": {"x": "int"}}


def cut_tfrecord(folder, _picture):
    path = folder / "data.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for row in [*ROWS, ROWS[0]]:
            writer.write(to_example(row).SerializeToString())
    path.write_bytes(path.read_bytes()[:-3])
    return {"source": "tfrecord", "path": str(path)}


def corrupt_tfrecord(folder, _picture):
    path = folder / "data.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for row in [*ROWS, {"x": 7, "y": 1, "mark": "here"}]:
            writer.write(to_example(row).SerializeToString())
    content = bytearray(path.read_bytes())
    content[content.index(b"here")] ^= 1
    path.write_bytes(content)
    return {"source": "tfrecord", "path": str(path)}


def parquet_without_a_label(folder, _picture):
    path = folder / "data.parquet"
    pq.write_table(pa.Table.from_pylist([*ROWS, {"x": 7, "y": None}]), path)
    return {"source": "parquet", "path": str(path)}


def no_picture(folder, picture):
    for number in range(60):
        path = folder / "pets" / ("cat" if number % 2 else "dog") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(number))
    (folder / "pets" / "cat" / "x.png").write_bytes(b"no picture")
    return {"source": "image_folder", "path": str(folder / "pets"), "label": "label"}


KINDS = {
    "a row with too few cells": (
        csv(b"7"),
        "data.csv: line 62: found 1 cells; allowed: 2, as the header has",
    ),
    "a quote without end": (
        csv(b'7,"1'),
        "data.csv: line 62: found unexpected end of data; allowed: a row of CSV",
    ),
    "another encoding": (
        csv(b"\xe9,1"),
        r"data.csv: line 62: column 'x': found b'\xe9'; allowed: text in utf-8",
    ),
    "a value of another type": (
        csv(b"a,1"),
        "data.csv: line 62: column 'x': found 'a'; allowed: a whole number of 64 bits",
    ),
    "no label": (
        csv(b"7,"),
        "data.csv: line 62: column 'y': found nothing; allowed: a label in every row",
    ),
    "a label out of range": (
        csv(b"7,2"),
        "data.csv: line 62: column 'y': found '2'; allowed: one of 0, 1",
    ),
    "a label that is not finite": (
        csv(b"7,inf", columns={"y": "float"}),
        "data.csv: line 62: column 'y': found 'inf'; allowed: a finite number",
    ),
    "a file without a column": (
        csv_without_a_column,
        "rows/b.csv: line 2: column 'x': found no such column; "
        "allowed: the columns that the other files have",
    ),
    "a TFRecord that is cut": (
        cut_tfrecord,
        "data.tfrecord: record 61: found 27 of 30 bytes, where the file ends; "
        "allowed: a TFRecord of tf.Example that is whole",
    ),
    "a corrupt record": (
        corrupt_tfrecord,
        "data.tfrecord: record 61: found a content that does not match its checksum; "
        "allowed: a TFRecord of tf.Example that is whole",
    ),
    "a null label of Parquet": (
        parquet_without_a_label,
        "data.parquet: row 61: column 'y': found nothing; allowed: a label in every row",
    ),
    "a file that is no picture": (
        no_picture,
        "pets/cat/x.png: column 'image': found a file that starts with b'no pictu'; "
        "allowed: a JPEG or PNG picture",
    ),
}


@pytest.fixture(params=KINDS)
def case(request, tmp_path, picture):
    """Writes 60 good rows and a bad one; returns the keys of `data` and what is said of it."""
    make, message = KINDS[request.param]
    keys = {"label": "y"} | make(tmp_path, picture)
    return keys, f"{tmp_path}/{message}"


@pytest.fixture
def read(ingest, tmp_path):
    def read(keys, policy):
        data = TypeAdapter(DataConfig).validate_python(
            keys | {"bad_rows": policy, "max_bad_fraction": 0.05}
        )
        labels = None if keys["label"] == "label" else [0, 1]
        return ingest(tmp_path / "examples", data, labels)

    return read


def test_bad_row_when_the_policy_is_fail_then_the_run_ends_and_says_which_and_why(case, read):
    keys, message = case
    with pytest.raises(DataError) as error:
        read(keys, "fail")
    assert str(error.value) == (
        f"{keys['path']}: 1 of 61 rows are bad; allowed: none, since data.bad_rows is fail; "
        f"quarantine puts them aside\n  {message}"
    )


def test_bad_row_when_the_policy_is_quarantine_then_it_is_put_aside_and_all_are_accounted_for(
    case, read
):
    keys, message = case
    examples = read(keys, "quarantine")
    intake = read_intake(examples.uri)
    assert (intake.rows, intake.bad, list(intake.first_bad)) == (61, 1, [message])
    written = {
        split: sum(
            1
            for path in Path(examples.uri, f"Split-{split}").glob("*.gz")
            for _ in tf.data.TFRecordDataset(str(path), "GZIP")
        )
        for split in intake.splits
    }
    assert written == intake.splits
    assert sum(written.values()) == 60
    (aside,) = Path(examples.uri, "quarantine").iterdir()
    (line,) = aside.read_text().splitlines()
    assert str(BadRow(**json.loads(line))) == message


def test_bad_row_when_it_is_put_aside_then_what_was_read_of_it_is_beside_the_reason(read, tmp_path):
    examples = read({"label": "y"} | csv(b"abc,1")(tmp_path, None), "quarantine")
    (aside,) = Path(examples.uri, "quarantine").iterdir()
    assert json.loads(aside.read_text())["row"] == "abc,1"


def test_bad_rows_when_there_are_more_than_allowed_then_shows_the_first_and_counts_the_others(
    read, tmp_path
):
    keys = {"label": "y"} | csv(b"\n".join([b"7"] * 20))(tmp_path, None)
    with pytest.raises(DataError) as error:
        read(keys, "quarantine")
    first, *rows = str(error.value).splitlines()
    assert first.endswith(
        "20 of 80 rows are bad; allowed: at most 5.00%, as data.max_bad_fraction says"
    )
    assert [row.partition(": ")[2].partition(":")[0] for row in rows[:10]] == [
        f"line {line}" for line in range(62, 72)
    ]
    assert rows[10:] == ["  and 10 more"]
