"""CSV and JSON as people have them, read line by line."""

from __future__ import annotations

import itertools
import os
import threading

import pytest

from pipeline.config_file import ConfigError
from pipeline.predict.rows import Cell
from pipeline.predict.text_rows import TextRows
from serving.client.metadata import Signature

NO_INPUTS = Signature({}, {}, "")


@pytest.fixture
def read(tmp_path, monkeypatch):
    """Returns the features of a text's rows."""
    monkeypatch.chdir(tmp_path)

    def rows(text: str, kind: str | None = None) -> list[dict]:
        (tmp_path / "rows.txt").write_bytes(text.encode())
        return [dict(row.features) for row in TextRows("rows.txt", kind).read(NO_INPUTS)]

    return rows


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        pytest.param('{"a": 1}', [{"a": 1}], id="object"),
        pytest.param('\n {\n  "a": [1,\n 2]\n}\n', [{"a": [1, 2]}], id="object over lines"),
        pytest.param('[{"a": 1}, {"a": 2}]', [{"a": 1}, {"a": 2}], id="list"),
        pytest.param('[\n{"a": 1},\n{"a": 2}\n]', [{"a": 1}, {"a": 2}], id="list over lines"),
        pytest.param('{"a": 1}\n{"a": 2}\n', [{"a": 1}, {"a": 2}], id="lines"),
        pytest.param('{"a": 1}\n\n  \n{"a": 2}', [{"a": 1}, {"a": 2}], id="lines, some empty"),
        pytest.param('\ufeff{"a": "ö"}', [{"a": "ö"}], id="byte order mark"),
        pytest.param("a,b\n1,2.5\n3,x\n", [{"a": "1", "b": "2.5"}, {"a": "3", "b": "x"}], id="CSV"),
        pytest.param("a\r\n1\r\n2\r\n", [{"a": "1"}, {"a": "2"}], id="CSV from Windows"),
        pytest.param('a,b\n"x, y",\n', [{"a": "x, y", "b": ""}], id="CSV of texts"),
        pytest.param('a,b\n"x\n y",1\n', [{"a": "x\n y", "b": "1"}], id="CSV cell over lines"),
        pytest.param("\n\na\n1\n\n2\n", [{"a": "1"}, {"a": "2"}], id="CSV, some lines empty"),
        pytest.param(f"a\n{'7' * 200_000}\n", [{"a": "7" * 200_000}], id="long cell"),
    ],
)
def test_rows_when_in_a_known_form_then_read(read, text, rows) -> None:
    assert read(text) == rows


def test_rows_when_of_csv_then_the_cells_wait_for_the_input_they_are_for(read) -> None:
    (row,) = read("a\n1\n")
    assert isinstance(row["a"], Cell)


def test_rows_when_the_kind_is_given_then_the_first_letter_says_nothing(read) -> None:
    assert read("[a]\n1\n", "csv") == [{"[a]": "1"}]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        pytest.param("", "rows: found none; allowed: JSON objects, or CSV", id="empty"),
        pytest.param(" \n\t\n", "rows: found none; allowed: JSON objects, or CSV", id="blank"),
        pytest.param("a,b\n", "rows: found a header alone; allowed: one row or more", id="header"),
        pytest.param("a,a\n1,2\n", "header: found a twice; allowed: each column", id="twice"),
        pytest.param("[]", "rows: found none; allowed: one object or more", id="empty list"),
        pytest.param(
            '{"a": 1}\n{"a": 2\n{"a": 3}', 'line 2: found {"a": 2; allowed: JSON (', id="broken"
        ),
        pytest.param(
            '\n\n{"a": 1}\n{"a": 2', 'line 4: found {"a": 2; allowed: JSON (', id="after blanks"
        ),
        pytest.param(
            '{"a": }\n{"a": 2}', 'line 1: found {"a": }; allowed: JSON', id="broken first"
        ),
        pytest.param('\n[\n{"a": 1},\n{"b" 2}]', 'line 4: found {"b" 2}]; allowed', id="in a list"),
        pytest.param('[{"a": 1}, 7]', "row 2: found 7; allowed: an object", id="no object"),
        pytest.param('{"a": 1}\n[1, 2]', "row 2: found [1, 2]; allowed: an object", id="no row"),
        pytest.param("a,b\n[1, 2],3\n", "row 1: found 3 cells; allowed: 2", id="more cells"),
        pytest.param("a,b\n1,2\n1\n", "row 2: found 1 cells; allowed: 2", id="fewer cells"),
        pytest.param('a\n"x\n', "line 2: found unexpected end of data; allowed: CSV", id="quote"),
    ],
)
def test_rows_when_they_cannot_be_read_then_says_where_and_why(read, text, error) -> None:
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert str(caught.value).startswith(f"rows.txt: {error}")


def test_rows_when_there_is_no_file_or_it_is_not_text_then_refused(tmp_path) -> None:
    with pytest.raises(ConfigError, match="ROWS: found No such file or directory; allowed: a file"):
        TextRows(str(tmp_path / "nowhere.csv"))
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="ROWS: found 'utf-8' codec can't decode"):
        TextRows(str(tmp_path / "binary"))


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ('{"image": {"b64": "/9j/"}}', {"image": b"\xff\xd8\xff"}),
        ('{"images": [{"b64": ""}, {"b64": "AA=="}]}', {"images": [b"", b"\0"]}),
    ],
    ids=["one", "list"],
)
def test_rows_when_a_value_is_base64_as_tf_serving_takes_it_then_is_bytes(read, text, row) -> None:
    assert read(text) == [row]


@pytest.mark.parametrize(
    "value", ['{"b64": "a"}', '{"b64": "é"}', '{"b64": 5}', '{"b32": "AA"}', "{}"]
)
def test_rows_when_base64_is_broken_then_names_row_and_feature(read, value) -> None:
    with pytest.raises(ConfigError) as caught:
        read(f'{{"image": 1}}\n{{"image": {value}}}')
    assert str(caught.value).startswith("rows.txt: row 2: image: found ")
    assert str(caught.value).endswith('; allowed: {"b64": "<base64>"}')


@pytest.mark.parametrize("line", ['{"a": 1}\n', "1\n"], ids=["JSON", "CSV"])
def test_rows_when_the_file_has_no_end_then_the_first_come_all_the_same(tmp_path, line) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    is_over = threading.Event()

    def feed() -> None:
        with pipe.open("w") as file:
            file.write("a\n" if line == "1\n" else "")
            file.write(line * 20_000)
            file.flush()
            is_over.wait()

    writer = threading.Thread(target=feed)
    writer.start()
    try:
        rows = TextRows(str(pipe)).read(NO_INPUTS)
        assert len(list(itertools.islice(rows, 10_000))) == 10_000
    finally:
        is_over.set()
        assert len(list(rows)) == 10_000
        writer.join()
