"""Tables as examples: labels, splits, types over several files, and every kind of bad row."""

import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from components.example_gen.examples import to_example
from components.example_gen.source import DataError

ROWS = [{"id": i, "x": i / 4, "s": f"t{i % 7}", "day": i % 30, "y": i % 2} for i in range(400)]


def as_csv(rows):
    lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
    return "\n".join(lines) + "\n"


def ids(rows):
    """Returns the ids in each split."""
    return {split: sorted(row["id"][0] for row in found) for split, found in rows.items()}


def test_rows_when_values_are_of_each_type_then_are_examples_without_what_is_missing(
    write, table, good
):
    path = write("i,f,t,y\n1,1.5,a,0\n,,,1\n-3,2,é,1\n")
    assert good(table(path)) == sorted(
        [
            {"f": [1.5], "i": [1], "t": [b"a"], "y": [0]},
            {"y": [1]},
            {"f": [2.0], "i": [-3], "t": ["é".encode()], "y": [1]},
        ],
        key=str,
    )


def test_splits_when_rows_come_in_another_order_or_more_files_then_are_the_same(write, table, read):
    expected, _ = read(table(write(as_csv(ROWS), "one.csv")))
    shuffled = random.Random(3).sample(ROWS, len(ROWS))
    for number in range(4):
        write(as_csv(shuffled[number::4]), f"many/{number}.csv")
    found, _ = read(table(write("", "many/.hidden").parent))
    assert ids(found) == ids(expected)
    assert min(map(len, found.values())) > 30


def test_splits_when_the_same_rows_come_in_another_format_then_are_the_same(
    write, table, read, tmp_path
):
    expected, _ = read(table(write(as_csv(ROWS))))
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "data.parquet")
    with tf.io.TFRecordWriter(str(tmp_path / "data.tfrecord")) as writer:
        for row in ROWS:
            writer.write(to_example(row).SerializeToString())
    for source in ("parquet", "tfrecord"):
        found, bad = read(table(tmp_path / f"data.{source}", source))
        assert ids(found) == ids(expected), source
        assert not bad


def test_splits_when_the_seed_is_another_then_are_others_of_the_same_shares(write, table, read):
    path = write(as_csv(ROWS))
    first, _ = read(table(path))
    second, _ = read(table(path, splits={"seed": 1}))
    assert ids(first) != ids(second)
    assert 240 < len(second["train"]) < 320


def test_splits_when_a_row_comes_twice_then_both_are_in_one_split(write, table, read):
    rows, _ = read(table(write(as_csv(ROWS + ROWS))))
    for split in ids(rows).values():
        assert split[::2] == split[1::2]


def test_splits_when_by_group_then_no_group_is_in_two(write, table, read):
    groups = [row | {"s": f"t{row['id'] % 40}"} for row in ROWS]
    splits = {"by": "group", "column": "s", "train": 50, "eval": 25, "test": 25}
    rows, _ = read(table(write(as_csv(groups)), splits=splits))
    found = [{row["s"][0] for row in part} for part in rows.values()]
    assert sum(map(len, found)) == len(set.union(*found)) == 40
    assert all(found)


def test_splits_when_by_time_then_the_latest_rows_are_tested_with(write, table, read):
    rows, _ = read(table(write(as_csv(ROWS)), splits={"by": "time", "column": "day"}))
    days = {split: {row["day"][0] for row in part} for split, part in rows.items()}
    assert max(days["train"]) < min(days["eval"])
    assert max(days["eval"]) < min(days["test"])
    assert len(rows["train"]) / 400 == pytest.approx(0.7, abs=0.03)
    assert len(rows["eval"]) / 400 == pytest.approx(0.15, abs=0.03)


def test_splits_when_times_are_dates_then_go_by_these(write, table, read):
    dated = [row | {"day": f"2026-01-{row['day'] + 1:02} 08:30:00"} for row in ROWS]
    by_number, _ = read(table(write(as_csv(ROWS)), splits={"by": "time", "column": "day"}))
    by_date, _ = read(table(write(as_csv(dated)), splits={"by": "time", "column": "day"}))
    assert ids(by_date) == ids(by_number)


def test_splits_when_by_folder_then_are_what_the_folders_say(write, table, read, tmp_path):
    for split, part in (("train", ROWS[:50]), ("val", ROWS[50:60]), ("test", ROWS[60:75])):
        write(as_csv(part), f"data/{split}/rows.csv")
    rows, _ = read(table(tmp_path / "data", splits={"by": "folder"}))
    assert ids(rows) == {
        "train": list(range(50)), "eval": list(range(50, 60)), "test": list(range(60, 75))
    }  # fmt: skip


def test_splits_when_only_some_folders_are_there_then_the_others_are_taken_from_train(
    write, table, read, tmp_path
):
    write(as_csv(ROWS[:200]), "data/train/rows.csv")
    write(as_csv(ROWS[200:210]), "data/test/rows.csv")
    rows, _ = read(table(tmp_path / "data", splits={"by": "folder"}))
    assert ids(rows)["test"] == list(range(200, 210))
    assert len(rows["eval"]) == pytest.approx(200 * 15 / 85, abs=15)


def test_label_when_it_is_an_expression_then_is_computed_in_full_precision(write, table, good):
    # A fifth of 12.25 is 2.45, which float32 makes 2.4500000477.
    path = write("tips,fare\n2.45,12.25\n2.46,12.25\n0,0\n")
    rows = good(table(path, label="big", label_expression="tips > 0.2 * fare"))
    assert sorted((row["tips"][0], row["big"][0]) for row in rows) == [
        (0.0, 0), (pytest.approx(2.45), 0), (pytest.approx(2.46), 1),
    ]  # fmt: skip


def test_label_when_a_column_of_its_expression_is_missing_then_the_row_is_bad(write, table, read):
    path = write("tips,fare\n1,\n2,10\n")
    rows, bad = read(table(path, label="big", label_expression="tips > 0.2 * fare"))
    assert sum(map(len, rows.values())) == 1
    assert [str(row) for row in bad] == [
        f"{path}: line 2: column 'fare': found nothing; allowed: a value, for the label 'big'"
    ]


def test_label_when_its_expression_divides_by_zero_then_the_row_is_bad(write, table, read):
    path = write("tips,fare\n1,0\n2,10\n")
    rows, bad = read(table(path, label="part", label_expression="tips / fare"))
    assert sum(map(len, rows.values())) == 1
    assert bad[0].where == f"{path}: line 2"
    assert bad[0].column == "part"


def test_label_when_operators_do_not_go_with_the_columns_then_says_which_types(write, table, read):
    with pytest.raises(
        DataError, match="where s is text, x is float; allowed: operators that go with them"
    ):
        read(table(write(as_csv(ROWS)), label="z", label_expression="s > 0.2 * x"))


@pytest.mark.parametrize(
    ("cell", "keys", "column", "found", "allowed"),
    [
        ("", {}, "y", "nothing", "a label in every row"),
        ("2", {"label_values": [0, 1]}, "y", "'2'", "one of 0, 1"),
        ("abc", {"columns": {"y": "int"}}, "y", "'abc'", "a whole number of 64 bits"),
        ("inf", {"columns": {"y": "float"}}, "y", "'inf'", "a finite number"),
        ("nan", {"columns": {"y": "float"}}, "y", "'nan'", "a label in every row"),
    ],
)
def test_bad_rows_when_a_label_cannot_be_used_then_say_where_what_and_why(
    write, table, read, cell, keys, column, found, allowed
):
    path = write(f"x,y\n1,0\n2,{cell}\n3,1\n4,1\n")
    rows, bad = read(table(path, **keys))
    assert sum(map(len, rows.values())) == 3
    assert bad == [(f"{path}: line 3", column, found, allowed, f"2,{cell}")]


def test_bad_rows_when_a_value_is_not_of_the_columns_type_then_say_so(write, table, read):
    path = write("x,y\n1.5,0\nabc,1\n1e99,1\n2,1\n3,0\n4,0\n")
    rows, bad = read(table(path, columns={"x": "float"}))
    assert sum(map(len, rows.values())) == 4
    assert [(row.where.rpartition(": ")[2], row.column, row.found) for row in bad] == [
        ("line 3", "x", "'abc'"),
        ("line 4", "x", "'1e99'"),
    ]


def test_types_when_most_values_are_of_another_then_the_column_is_what_it_has_become(
    write, table, good
):
    path = write("x,y\na,0\nb,1\n3,1\n")
    found = good(table(path, columns={"x": "float"}))
    assert sorted(row["x"][0] for row in found) == [b"3", b"a", b"b"]


def test_types_when_files_differ_then_are_those_of_all_values_together(write, table, good):
    write("x,y\n1,0\n", "data/a.csv")
    path = write("x,y\n2.5,0\n", "data/b.csv").parent
    assert sorted(row["x"][0] for row in good(table(path))) == [1.0, 2.5]


def test_bad_rows_when_a_file_lacks_a_column_that_must_be_then_are_all_of_its_rows(
    write, table, read
):
    write("x,y\n1,0\n2,1\n", "data/a.csv")
    path = write("x\n3\n4\n", "data/b.csv")
    rows, bad = read(table(path.parent))
    assert sum(map(len, rows.values())) == 2
    assert [str(row) for row in bad] == [
        f"{path}: line {line}: column 'y': found no such column; "
        "allowed: the columns that the other files have"
        for line in (2, 3)
    ]


def test_rows_when_a_file_lacks_another_column_then_it_is_missing_there(write, table, good):
    write("x,y\n1,0\n", "data/a.csv")
    path = write("y\n1\n", "data/b.csv").parent
    assert good(table(path)) == [{"x": [1], "y": [0]}, {"y": [1]}]


@pytest.mark.parametrize("by", ["group", "time"])
def test_bad_rows_when_splits_go_by_a_column_without_value_then_say_so(write, table, read, by):
    path = write("d,y\n1,0\n,1\n3,0\n")
    rows, bad = read(table(path, splits={"by": by, "column": "d"}))
    assert sum(map(len, rows.values())) == 2
    assert bad[0].where == f"{path}: line 3"
    assert f"since data.splits.by is {by}" in bad[0].allowed


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"label": "z"}, "no column 'z'; allowed: the columns: x, y"),
        ({"label": "z", "label_expression": "x > w"}, "no column 'w'"),
        ({"label": "y", "label_expression": "x > 1"}, "a column 'y', which data.label_expression"),
        ({"splits": {"by": "group", "column": "g"}}, "no column 'g'"),
    ],
)
def test_check_when_a_column_is_not_there_then_names_it_and_those_that_are(
    write, table, keys, message
):
    with pytest.raises(DataError, match=message):
        table(write("x,y\n1,2\n"), **keys).check()


@pytest.mark.parametrize(
    ("path", "message"),
    [("none.csv", "no such file"), (".", "no files with .csv"), ("*.tsv", "no such file")],
)
def test_check_when_there_is_no_file_then_says_what_the_path_should_be(
    tmp_path, table, path, message
):
    with pytest.raises(DataError, match=f"{message}.*; allowed: a file, a folder"):
        table(tmp_path / path).check()


def test_sample_when_rows_are_asked_for_then_are_the_first_good_ones(write, table):
    path = write("x,t,y\nbad\n1,é,0\n,b,1\n3,c,1\n")
    assert table(path).sample(2) == [{"x": 1, "t": "é", "y": 0}, {"t": "b", "y": 1}]


def test_size_when_there_are_several_files_then_is_of_all(write, table):
    write("x,y\n1,2\n", "data/a.csv")
    path = write("x,y\n1,22\n", "data/b.csv").parent
    assert table(path).size() == 17


def test_excerpt_when_rows_have_one_value_here_and_several_there_then_is_of_lists(table, tmp_path):
    with tf.io.TFRecordWriter(str(tmp_path / "data.tfrecord")) as writer:
        for number in range(1500):
            row = {"x": [number, 1] if number == 1400 else number, "y": number % 2}
            writer.write(to_example(row).SerializeToString())
    found = table(tmp_path / "data.tfrecord", "tfrecord").excerpt(10_000)
    assert found.is_all
    assert found.columns["x"][1400].as_py() == [1400, 1]
    assert found.columns["x"][0].as_py() == [0]


def test_excerpt_when_there_are_more_rows_then_takes_so_many_and_tells_how_many_there_are(
    write, table
):
    write(as_csv(ROWS), "data/a.csv")
    path = write(as_csv(ROWS), "data/b.csv").parent
    few, every = table(path).excerpt(100), table(path).excerpt(1000)
    assert (len(few.columns["x"]), few.is_all, few.about_rows) == (100, False, 800)
    assert few.columns["id"].to_pylist() == [*range(50), *range(50)]
    assert (len(every.columns["x"]), every.is_all, every.about_rows) == (800, True, 800)


def test_read_when_no_row_of_a_part_reads_then_all_are_bad(table, read, tmp_path):
    rows = [{"x": number, "y": number % 2} for number in range(10)]
    pq.write_table(
        pa.Table.from_pylist(rows), tmp_path / "data.parquet", compression="gzip",
        use_dictionary=False,
    )  # fmt: skip
    content = bytearray((tmp_path / "data.parquet").read_bytes())
    content[10:60] = bytes(50)
    (tmp_path / "data.parquet").write_bytes(content)
    found, bad = read(table(tmp_path / "data.parquet", "parquet"))
    assert not any(found.values())
    assert len(bad) == 10


def test_fingerprint_when_a_file_changes_then_is_another(write, table):
    path = write("x,y\n1,2\n")
    before = table(path).fingerprint()
    assert table(path).fingerprint() == before
    path.write_text("x,y\n1,22\n")
    assert table(path).fingerprint() != before


def test_rows_when_a_pattern_names_spans_then_are_those_of_the_latest(write, table, good):
    write("x,y\n1,0\n", "2026-01-01/a.csv")
    path = write("x,y\n2,0\n", "2026-01-02/a.csv").parent.parent / "{YYYY}-{MM}-{DD}"
    assert [row["x"][0] for row in good(table(path))] == [2]
    assert [row["x"][0] for row in good(table(path, window=2))] == [1, 2]


def test_rows_when_a_category_has_10000_values_and_names_are_of_any_letters_then_are_read(
    write, table, good
):
    lines = "".join(f'k{i},"a\nb",{i % 2}\n' for i in range(10_000))
    rows = good(table(write("größe (cm),töxt,y\n" + lines)))
    assert len({row["größe (cm)"][0] for row in rows}) == 10_000
    assert rows[0]["töxt"] == [b"a\nb"]
