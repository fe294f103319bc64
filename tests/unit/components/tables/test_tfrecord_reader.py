"""TFRecords of tf.Example: plain and GZIP, damaged and cut."""

import gzip

import pytest
import tensorflow as tf

from components.example_gen.examples import to_example
from components.example_gen.source import DataError
from components.example_gen.tables.tfrecord_reader import TFRecordReader

ROWS = [{"x": i, "y": i / 2, "s": f"t{i}"} for i in range(20)]


@pytest.fixture
def write_records(tmp_path):
    """Writes rows, or bytes that are none, as TFRecords."""

    def write(rows, name="data.tfrecord", compression=""):
        path = tmp_path / name
        with tf.io.TFRecordWriter(str(path), compression) as writer:
            for row in rows:
                serialized = row if isinstance(row, bytes) else to_example(row).SerializeToString()
                writer.write(serialized)
        return path

    return write


def read(path):
    """Returns the columns of all tables as lists, and the bad rows as text."""
    columns, bad = {}, []
    for table in TFRecordReader().tables(str(path), None):
        for name, values in table.columns.items():
            columns.setdefault(name, []).extend(values.to_pylist())
        bad += [str(row).removeprefix(f"{path}: ") for row in table.bad]
    return columns, bad


@pytest.mark.parametrize("compression", ["", "GZIP"])
def test_tables_when_records_are_whole_then_hold_their_values(write_records, compression):
    columns, bad = read(write_records(ROWS, compression=compression))
    assert columns["x"] == list(range(20))
    assert columns["y"] == [i / 2 for i in range(20)]
    assert columns["s"] == [f"t{i}".encode() for i in range(20)]
    assert not bad


def test_columns_when_asked_for_then_are_those_of_the_first_records(write_records):
    assert TFRecordReader().columns(str(write_records(ROWS))) == ["s", "x", "y"]


def test_tables_when_a_feature_is_missing_or_holds_several_then_is_null_or_a_list(write_records):
    columns, _ = read(write_records([{"x": 1, "l": [1, 2]}, {"l": [3]}, {"x": 3}]))
    assert columns == {"x": [1, None, 3], "l": [[1, 2], [3], None]}


def test_tables_when_a_content_is_damaged_then_that_record_is_bad_and_the_others_are_read(
    write_records,
):
    path = write_records(ROWS)
    content = bytearray(path.read_bytes())
    content[content.index(b"t7")] ^= 1
    path.write_bytes(content)
    columns, bad = read(path)
    assert columns["x"] == [i for i in range(20) if i != 7]
    assert bad == [
        "record 8: found a content that does not match its checksum; "
        "allowed: a TFRecord of tf.Example that is whole"
    ]


def test_tables_when_a_length_is_damaged_then_the_rest_is_one_bad_row(write_records):
    path = write_records(ROWS)
    size = path.stat().st_size // 20
    content = bytearray(path.read_bytes())
    content[content.index(b"t7") + 3 * size :] = b"x" * len(
        content[content.index(b"t7") :][3 * size :]
    )
    path.write_bytes(content)
    columns, bad = read(path)
    assert columns["x"] == list(range(len(columns["x"])))
    assert 8 <= len(columns["x"]) < 20
    assert bad[-1].startswith(f"record {len(columns['x']) + len(bad)}: found ")


@pytest.mark.parametrize("kept", [-1, -20])
def test_tables_when_a_file_is_cut_then_the_last_record_is_bad(write_records, kept):
    path = write_records(ROWS)
    path.write_bytes(path.read_bytes()[:kept])
    columns, bad = read(path)
    assert columns["x"] == list(range(19))
    assert len(bad) == 1
    assert bad[0].startswith("record 20: found ")
    assert "where the file ends" in bad[0]


def test_tables_when_a_gzip_file_is_cut_then_what_is_before_is_read(write_records):
    path = write_records(ROWS * 100, compression="GZIP")
    path.write_bytes(path.read_bytes()[:-30])
    columns, bad = read(path)
    assert len(columns["x"]) > 0
    assert len(bad) == 1
    assert "the end of what can be read" in bad[0]


def test_tables_when_a_record_is_no_example_then_it_is_bad(write_records):
    columns, bad = read(write_records([*ROWS[:2], b"\xff\xff no proto", ROWS[2]]))
    assert columns["x"] == [0, 1, 2]
    assert bad == ["record 3: found 11 bytes that are none; allowed: a tf.Example"]


def test_tables_when_values_of_a_feature_are_of_two_kinds_then_the_later_kind_is_bad(write_records):
    columns, bad = read(write_records([{"x": 1}, {"x": "a"}, {"x": 3}]))
    assert columns["x"] == [1, 3]
    assert bad == [
        "record 2: column 'x': found bytes_list; allowed: int64_list, as in the records before"
    ]


def test_columns_when_a_file_holds_no_example_then_says_so(tmp_path):
    path = tmp_path / "data.tfrecord"
    path.write_bytes(gzip.compress(b""))
    with pytest.raises(DataError, match="no record"):
        TFRecordReader().columns(str(path))


@pytest.mark.parametrize("compression", ["", "GZIP"])
def test_about_rows_when_a_file_is_long_then_tells_them_by_its_beginning(
    write_records, compression
):
    rows = [{"x": i, "s": f"t{i}"} for i in range(5000)]
    path = str(write_records(rows, compression=compression))
    assert TFRecordReader().about_rows(path, None) == pytest.approx(5000, rel=0.1)


def test_about_rows_when_a_file_is_short_then_are_counted(write_records):
    assert TFRecordReader().about_rows(str(write_records(ROWS)), None) == 20
