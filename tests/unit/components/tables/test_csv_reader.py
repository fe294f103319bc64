"""CSV: quotes, encodings, damage, and large files read in parts."""

import gzip

import pytest

from components.example_gen.source import DataError
from components.example_gen.tables.csv_reader import CsvReader, Part


@pytest.fixture
def rows():
    """Reads a file: rows as lists of texts, and the places and reasons of the bad ones."""

    def rows(path, **options):
        reader = CsvReader(**options)
        found, bad = [], []
        for part in reader.parts(str(path)):
            for table in reader.tables(str(path), part):
                columns = [values.to_pylist() for values in table.columns.values()]
                found += [list(row) for row in zip(*columns, strict=True)]
                bad += [(row.where.removeprefix(f"{path}: "), row.found) for row in table.bad]
        return found, bad

    return rows


def test_rows_when_cells_are_quoted_then_may_hold_delimiters_quotes_and_newlines(write, rows):
    path = write('größe,"a, b"\r\n1,"x\r\ny, ""z"""\r\n\r\n2,w\r\n')
    assert CsvReader().columns(str(path)) == ["größe", "a, b"]
    assert rows(path) == ([["1", 'x\r\ny, "z"'], ["2", "w"]], [])


def test_rows_when_a_row_is_too_short_or_long_then_it_is_bad_and_the_others_are_read(write, rows):
    found, bad = rows(write("a,b\n1,2\n3\n\n4,5,6\n7,8"))
    assert found == [["1", "2"], ["7", "8"]]
    assert bad == [("line 3", "1 cells"), ("line 5", "3 cells")]


def test_lines_when_cells_span_lines_then_are_those_of_the_file(write):
    path = str(write('a,b\n"x\ny",1\n2,"z\n\n"\n3,4\n'))
    reader = CsvReader()
    (table,) = reader.tables(path, reader.parts(path)[0])
    assert [table.where(number) for number in range(3)] == [
        f"{path}: line {line}" for line in (2, 4, 7)
    ]


def test_rows_when_a_cell_is_not_utf8_then_its_row_is_bad_and_names_the_column(write):
    path = str(write(b"a,b\n1,caf\xe9\n2,tea\n"))
    reader = CsvReader()
    (table,) = reader.tables(path, reader.parts(path)[0])
    assert table.columns["b"].to_pylist() == ["tea"]
    assert [str(row) for row in table.bad] == [
        f"{path}: line 2: column 'b': found b'caf\\xe9'; allowed: text in utf-8"
    ]
    assert table.where(0) == f"{path}: line 3"


def test_rows_when_the_encoding_is_said_then_are_read_in_it(write, rows):
    assert rows(write(b"a,b\n1,caf\xe9\n"), encoding="latin-1") == ([["1", "café"]], [])
    assert rows(write("a,b\n1,é\n".encode("utf-16")), encoding="utf-16") == ([["1", "é"]], [])


def test_columns_when_the_file_begins_with_a_byte_order_mark_then_it_is_no_part_of_a_name(write):
    assert CsvReader().columns(str(write("\ufeffa,b\n1,2\n"))) == ["a", "b"]


def test_rows_when_a_quote_never_ends_then_the_lines_that_it_took_are_named(write, rows):
    found, bad = rows(write('a,b\n1,2\n3,"x\n4,5\n6,7\n'))
    assert found == [["1", "2"]]
    assert bad == [("line 3", "unexpected end of data (lines 3 to 5)")]


def test_rows_when_text_follows_a_quote_then_that_row_is_bad_and_the_next_is_read(write, rows):
    found, bad = rows(write('a,b\n"x"y,1\n2,3\n'))
    assert found == [["2", "3"]]
    assert bad == [("line 2", "',' expected after '\"'")]


def test_rows_when_there_are_nul_bytes_then_the_row_is_bad(write, rows):
    found, bad = rows(write(b"a,b\n1,\x00\n2,3\n"))
    assert found == [["2", "3"]]
    assert bad == [("line 2", "line contains NUL")]


def test_rows_when_gzipped_then_are_read_and_a_cut_is_found(write, rows):
    content = gzip.compress(b"a,b\n" + b"".join(b"%d,%d\n" % (i, i * i) for i in range(999)))
    assert len(rows(write(content, "data.csv.gz"))[0]) == 999
    found, bad = rows(write(content[:-40], "cut.csv.gz"))
    assert 0 < len(found) < 999
    assert len(bad) == 1
    assert "the end of what can be read" in bad[0][1]


@pytest.mark.parametrize("suffix", ["csv", "csv.gz"])
def test_about_rows_when_a_file_is_long_then_tells_them_by_its_beginning(write, suffix):
    content = ("a,b\n" + "".join(f'{i % 977},"x\ny{i % 89}"\n' for i in range(300_000))).encode()
    path = str(write(gzip.compress(content) if suffix == "csv.gz" else content, f"data.{suffix}"))
    (part,) = CsvReader().parts(path)
    assert CsvReader().about_rows(path, part) == pytest.approx(300_000, rel=0.1)


def test_about_rows_when_a_file_is_divided_then_are_those_of_the_part(write):
    path = str(write("a,b\n" + "".join(f"{i},{i * i}\n" for i in range(500))))
    reader = CsvReader(part_bytes=300)
    assert sum(reader.about_rows(path, part) for part in reader.parts(path)) == 500


def test_about_rows_when_a_file_does_not_read_then_is_0(write):
    content = gzip.compress(b"a,b\n" + b"1,2\n" * 10)[:-12]
    path = str(write(content, "cut.csv.gz"))
    assert CsvReader().about_rows(path, Part(0, None, 1)) == 0


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_parts_when_a_file_is_large_then_give_the_rows_of_the_whole_with_their_lines(
    write, newline
):
    path = str(write("a,b" + newline + "".join(f"{i},{i * i}{newline}" for i in range(500))))
    whole, divided = CsvReader(), CsvReader(part_bytes=300)
    parts = divided.parts(path)
    assert len(parts) > 10

    def read(reader, parts):
        return [
            (table.where(number), values.as_py())
            for part in parts
            for table in reader.tables(path, part)
            for number, values in enumerate(table.columns["b"])
        ]

    assert read(divided, parts) == read(whole, whole.parts(path))
    assert len(read(divided, parts)) == 500


def test_parts_when_a_cell_may_span_lines_then_there_is_one(write):
    path = str(write("a,b\n" + '1,"x\ny"\n' * 500))
    assert len(CsvReader(part_bytes=300).parts(path)) == 1


def test_parts_when_quotes_are_in_pairs_on_each_line_then_there_are_several(write, rows):
    path = write("a,b\n" + '1,"x, y"\n' * 500)
    assert len(CsvReader(part_bytes=300).parts(str(path))) > 10
    assert rows(path, part_bytes=300) == ([["1", "x, y"]] * 500, [])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "line 1: found nothing; allowed: a header"),
        ("a,,b\n1,2,3\n", "found no name of column 2"),
        ("a,b,a\n1,2,3\n", "found the name 'a' twice"),
        (b"a,\xff\n1,2\n", "allowed: names in utf-8"),
        ('a,"b\n1,2\n', "unexpected end of data"),
    ],
)
def test_columns_when_the_header_is_none_then_says_what_is_wrong(write, content, message):
    with pytest.raises(DataError, match=message):
        CsvReader().columns(str(write(content)))


def test_columns_when_another_delimiter_is_set_then_it_divides(write, rows):
    path = write("a;b\n1,5;2\n")
    assert CsvReader(";").columns(str(path)) == ["a", "b"]
    assert rows(path, delimiter=";") == ([["1,5", "2"]], [])


def test_tables_when_there_are_300_columns_then_each_is_read(write, rows):
    names = ",".join(f"c{i}" for i in range(300))
    path = write(names + "\n" + "\n".join(",".join(["1"] * 300) for _ in range(5000)))
    found, bad = rows(path)
    assert len(found) == 5000
    assert len(found[0]) == 300
    assert not bad
