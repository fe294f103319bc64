"""Parquet: its types as ours, row groups apart, and damage."""

import datetime
import decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.example_gen.source import DataError
from components.example_gen.tables.parquet_reader import ParquetReader


@pytest.fixture
def write_parquet(tmp_path):
    def write(columns, **options):
        path = tmp_path / "data.parquet"
        pq.write_table(pa.table(columns), path, **options)
        return path

    return write


def read(path):
    reader = ParquetReader()
    columns, places, bad = {}, [], []
    for part in reader.parts(str(path)):
        for table in reader.tables(str(path), part):
            places += [table.where(number) for number in range(table.rows)]
            bad += table.bad
            for name, values in table.columns.items():
                columns.setdefault(name, []).extend(values.to_pylist())
    return columns, places, bad


def test_tables_when_columns_are_of_many_types_then_are_numbers_texts_and_lists(write_parquet):
    day = datetime.date(1970, 1, 2)
    columns, _, bad = read(
        write_parquet(
            {
                "int": pa.array([1, None], pa.int32()),
                "bool": [True, None],
                "half": pa.array([0.5, None], pa.float32()),
                "decimal": [decimal.Decimal("1.25"), None],
                "text": ["é", None],
                "dictionary": pa.array(["a", None]).dictionary_encode(),
                "bytes": [b"\xff", None],
                "day": [day, None],
                "time": pa.array([1500, None], pa.timestamp("ms")),
                "list": [[1, 2], None],
                "large": pa.array([["a"], []], pa.large_list(pa.large_string())),
                "null": pa.nulls(2),
            }
        )
    )
    assert columns == {
        "int": [1, None],
        "bool": [1, None],
        "half": [0.5, None],
        "decimal": [1.25, None],
        "text": ["é", None],
        "dictionary": ["a", None],
        "bytes": [b"\xff", None],
        "day": [86400, None],
        "time": [1, None],
        "list": [[1, 2], None],
        "large": [["a"], []],
        "null": [None, None],
    }
    assert not bad


def test_parts_when_there_are_row_groups_then_each_is_one_and_rows_are_counted_through(
    write_parquet,
):
    path = write_parquet({"x": list(range(10))}, row_group_size=4)
    assert len(ParquetReader().parts(str(path))) == 3
    columns, places, _ = read(path)
    assert columns["x"] == list(range(10))
    assert places == [f"{path}: row {number}" for number in range(1, 11)]


def test_columns_when_one_is_of_no_type_that_an_example_has_then_it_is_named(write_parquet):
    path = write_parquet({"x": [1], "s": [{"a": 1}]})
    with pytest.raises(DataError, match=r"column 's': found struct<a: int64>; allowed: numbers"):
        ParquetReader().columns(str(path))


def test_columns_when_a_file_is_no_parquet_then_says_so(tmp_path):
    path = tmp_path / "data.parquet"
    path.write_bytes(b"x" * 100)
    with pytest.raises(DataError, match="found no Parquet"):
        ParquetReader().columns(str(path))


def test_tables_when_a_row_group_is_damaged_then_its_rows_are_bad_and_the_others_are_read(
    write_parquet,
):
    path = write_parquet(
        {"x": list(range(1000))}, row_group_size=500, compression="gzip", use_dictionary=False
    )
    start = pq.ParquetFile(path).metadata.row_group(1).column(0).data_page_offset
    content = bytearray(path.read_bytes())
    content[start + 40 : start + 400] = bytes(360)
    path.write_bytes(content)
    columns, _, bad = read(path)
    assert columns["x"][:500] == list(range(500))
    assert len(columns["x"]) + len(bad) == 1000
    assert len(bad) == 500
    assert bad[0].where == f"{path}: row 501"


def test_about_rows_when_there_are_row_groups_then_are_those_of_the_group(write_parquet):
    path = str(write_parquet({"x": range(25)}, row_group_size=10))
    reader = ParquetReader()
    assert [reader.about_rows(path, part) for part in reader.parts(path)] == [10, 10, 5]
