"""What each kind of column becomes, by hand; and that a server computes the same bits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip

from trainer_module.tasks.tabular import Tabular  # isort: skip
from trainer_module.tasks.tabular.layout import FIRST, MISSING, PADDING  # isort: skip

OPTIONS: dict[str, Any] = {
    "problem": "binary",
    "classes": ["no", "yes"],
    "features": {
        "age": {"kind": "numeric"},
        "clipped": {"kind": "numeric", "scale": "none", "clip": [0, 10], "missing": -5},
        "logged": {"kind": "numeric", "scale": "log", "indicator": False},
        "middle": {"kind": "numeric", "scale": "none", "missing": "median", "indicator": False},
        "ranged": {"kind": "numeric", "scale": "min_max", "missing": 6, "indicator": False},
        "same": {"kind": "numeric", "indicator": False},
        "vector": {
            "kind": "numeric",
            "scale": "none",
            "size": 2,
            "missing": -1,
            "indicator": False,
        },
        "place": {"kind": "numeric", "buckets": 3},
        "city": {"kind": "categorical", "top_k": 2, "oov_buckets": 1},
        "often": {"kind": "categorical", "min_count": 2, "oov_buckets": 3},
        "code": {"kind": "categorical"},
        "share": {"kind": "categorical"},
        "hashed": {"kind": "categorical", "hash_buckets": 8},
        "tags ü": {"kind": "categorical", "max_values": 3},
        "prose": {"kind": "text", "min_count": 1, "max_tokens": 4},
        "seconds": {"kind": "date", "parts": ["year", "month", "day", "weekday", "hour", "minute"]},
        "millis": {"kind": "date", "unit": "milliseconds", "parts": ["minute"]},
        "iso": {"kind": "date", "parts": ["year", "month", "day", "weekday", "hour", "minute"]},
    },
    "crosses": [{"of": ["city", "place"], "buckets": 1000}, {"of": ["code", "iso.hour"]}],
}
ROWS: list[dict[str, Any]] = [
    {
        "vector": [1.0, 2.0],
        "label": "yes", "age": 1, "clipped": -3.0, "logged": 0.0, "middle": 5.0, "ranged": 2.0,
        "same": 7.0, "place": 1.0, "city": "Oslo", "often": "a", "code": 8, "share": 0.5,
        "hashed": "x", "tags ü": ["p", "q"], "prose": "Größe, GRÖSSE: größe!",
        "seconds": 1_400_269_500, "millis": 59_999.0, "iso": "2014-05-16T19:45",
    },
    {
        "vector": [3.0, 4.0],
        "label": "no", "age": 3, "clipped": 4.0, "logged": -1.0, "middle": 1.0, "ranged": 4.0,
        "same": 7.0, "place": 2.0, "city": "Rome", "often": "a", "code": 8, "share": 8.0,
        "hashed": "y", "tags ü": ["q", "", "r", "s", "t"], "prose": "one two three four five",
        "seconds": -1, "millis": 60_000.0, "iso": "1969-12-31 23:59:59.5+02:00",
    },
    {
        "vector": None,
        "label": "no", "age": None, "clipped": None, "logged": None, "middle": None,
        "ranged": None, "same": None, "place": None, "city": None, "often": None, "code": None,
        "share": None, "hashed": None, "tags ü": [], "prose": None, "seconds": None,
        "millis": None, "iso": None,
    },
    {
        "vector": [5.0, 6.0],
        "label": "yes", "age": 5, "clipped": 40.0, "logged": 3.0, "middle": 9.0, "ranged": 10.0,
        "same": 7.0, "place": 3.0, "city": "Oslo", "often": "b", "code": -3, "share": 1e7,
        "hashed": "x", "tags ü": "q", "prose": " -- ", "seconds": 951_782_400, "millis": 0.0,
        "iso": "2000-02-29",
    },
    {
        "vector": [7.0],
        "label": None, "age": 5, "clipped": float("inf"), "logged": float("nan"), "middle": 2.0,
        "ranged": 3.0, "same": 7.0, "place": 3.0, "city": "Bonn", "often": "b", "code": 8,
        "share": 8.0, "hashed": "", "tags ü": [""], "prose": "", "seconds": 10**15,
        "millis": 1.0, "iso": "2001-02-29",
    },
    {
        "vector": [0.0, 0.5],
        "label": "no", "age": 1, "clipped": 1.0, "logged": 3.0, "middle": 2.0, "ranged": 3.0,
        "same": 7.0, "place": 1.0, "city": "a\nb", "often": "c", "code": 8, "share": 0.5,
        "hashed": "x", "tags ü": ["q"], "prose": "two", "seconds": 0, "millis": 1.0,
        "iso": "16 May",
    },
]  # fmt: skip


@pytest.fixture(scope="module")
def table(transform: Callable) -> Any:
    return transform(ROWS, OPTIONS)


def _column(table: Any, name: str) -> np.ndarray:
    """Returns a scaled number: they come in the order of their names, then the indicators."""
    names = ["age", "clipped", "logged", "middle", "ranged", "same", "vector.0", "vector.1"]
    names += ["age?", "clipped?"]
    assert table.features["numeric"].shape[1] == len(names)
    return table.features["numeric"][:, names.index(name)]


def test_transform_when_done_then_all_is_dense_of_the_types_and_widths_promised(table):
    spec = table.output.transformed_feature_spec()
    assert {name: (kind.dtype, kind.shape) for name, kind in spec.items() if "row" not in name} == {
        "numeric": (tf.float32, [10]),
        "label": (tf.int64, []),
        **{
            name: (tf.int64, [1])
            for name in ("place", "city", "often", "code", "share", "hashed", "millis_minute")
        },
        "tags": (tf.int64, [3]),
        "prose": (tf.int64, [4]),
        **{
            f"{name}_{part}": (tf.int64, [1])
            for name in ("seconds", "iso")
            for part in ("year", "month", "day", "weekday", "hour", "minute")
        },
        "city_place": (tf.int64, [1]),
        "code_iso_hour": (tf.int64, [1]),
    }


def test_z_score_when_a_value_is_missing_then_is_0_and_marked(table):
    ages = np.array([1, 3, 5, 5, 1], np.float64)
    expected = (np.insert(ages, 2, ages.mean()) - ages.mean()) * (1 / ages.std())
    np.testing.assert_array_equal(_column(table, "age"), expected.astype(np.float32))
    np.testing.assert_array_equal(_column(table, "age?"), [0, 0, 1, 0, 0, 0])


def test_clip_when_beyond_or_infinite_then_is_at_its_end_or_the_number_for_missing(table):
    """The number that stands for a missing one is clipped as the others are."""
    np.testing.assert_array_equal(_column(table, "clipped"), [0, 4, 0, 10, 0, 1])
    np.testing.assert_array_equal(_column(table, "clipped?"), [0, 0, 1, 0, 1, 0])


def test_log_when_negative_then_keeps_its_sign_and_is_z_scored(table):
    logs = np.float32([0.0, -np.log1p(1.0), np.log1p(3.0), np.log1p(3.0)]).astype(np.float64)
    z = (logs - logs.mean()) * (1 / logs.std())
    expected = np.float32([z[0], z[1], 0, z[2], 0, z[3]])
    np.testing.assert_array_max_ulp(_column(table, "logged"), expected, maxulp=1)


def test_median_when_values_are_an_even_number_then_is_the_lower_one(table):
    np.testing.assert_array_equal(_column(table, "middle"), [5, 1, 2, 9, 2, 2])


def test_min_max_when_scaled_then_is_from_0_to_1(table):
    np.testing.assert_array_equal(
        _column(table, "ranged"), np.float32([0, 0.25, 0.5, 1, 0.125, 0.125])
    )


def test_z_score_when_a_column_is_constant_then_is_0(table):
    np.testing.assert_array_equal(_column(table, "same"), 0)


def test_buckets_when_values_repeat_then_equal_ones_are_in_one_bucket(table):
    np.testing.assert_array_equal(
        table.features["place"][:, 0],
        [FIRST, FIRST + 1, MISSING, FIRST + 2, FIRST + 2, FIRST],
    )


def test_vocabulary_when_values_are_equally_frequent_then_the_cut_goes_by_the_value(table):
    """Oslo twice; Rome, Bonn and `a b` once: the last in the order of bytes is in."""
    other = FIRST
    np.testing.assert_array_equal(
        table.features["city"][:, 0],
        [FIRST + 1, other, MISSING, FIRST + 1, other, FIRST + 2],
    )


def test_vocabulary_when_a_value_is_rarer_than_min_count_then_is_among_the_others(table):
    ids = table.features["often"][:, 0]
    known = FIRST + 3
    np.testing.assert_array_equal(ids[:5], [known + 1, known + 1, MISSING, known, known])
    assert FIRST <= ids[5] < known


def test_vocabulary_when_values_are_numbers_then_each_is_a_value(table):
    """8 five times, then -3."""
    np.testing.assert_array_equal(
        table.features["code"][:, 0],
        [FIRST + 1, FIRST + 1, MISSING, FIRST + 2, FIRST + 1, FIRST + 1],
    )
    shares = table.features["share"][:, 0]
    assert shares[0] == shares[5] != shares[1] == shares[4]


def test_vocabulary_when_written_then_is_one_file_to_read(table):
    lines = table.output.vocabulary_by_name("vocabulary")
    assert [line for line in lines if line.startswith((b"city\t", b"share\t"))] == [
        b"city\t", b"city\tOslo", b"city\ta b", b"share\t", b"share\t8", b"share\t0.5",
        b"share\t10000000",
    ]  # fmt: skip


def test_hash_when_values_are_equal_then_their_ids_are_and_an_empty_one_is_missing(table):
    ids = table.features["hashed"][:, 0]
    assert ids[0] == ids[3] == ids[5] != ids[1]
    assert ids[2] == ids[4] == MISSING
    assert all(FIRST <= i < FIRST + 8 for i in ids[[0, 1]])


def test_several_values_when_fewer_or_more_than_the_width_then_are_padded_or_cut(table):
    ids = table.features["tags"]
    q, p = FIRST + 1, ids[0, 0]
    assert ids[0].tolist() == [p, q, PADDING]
    assert ids[1, 0] == q
    assert len({p, q, *ids[1, 1:]}) == 4
    assert ids[2].tolist() == ids[4].tolist() == [MISSING, PADDING, PADDING]
    assert ids[3].tolist() == ids[5].tolist() == [q, PADDING, PADDING]


def test_text_when_in_other_case_or_script_then_are_words_of_letters(table):
    ids = table.features["prose"]
    größe, grösse = ids[0, 0], ids[0, 1]
    assert ids[0].tolist() == [größe, grösse, größe, PADDING]
    assert len({größe, grösse, *ids[1]}) == 6
    assert ids[5].tolist() == [ids[1, 1], PADDING, PADDING, PADDING]
    for row in (2, 3, 4):
        assert ids[row].tolist() == [MISSING, PADDING, PADDING, PADDING]


PARTS = ("year", "month", "day", "weekday", "hour", "minute")


def _parts(table: Any, column: str) -> list[list[int]]:
    """Returns the parts of each row's date as they are counted: months from 0, Monday 0."""
    found = np.concatenate([table.features[f"{column}_{part}"] for part in PARTS], axis=1)
    return (found - FIRST).tolist()


def test_date_when_seconds_then_parts_are_of_the_gregorian_calendar(table):
    none = [MISSING - FIRST] * len(PARTS)
    assert _parts(table, "seconds") == [
        [114, 4, 15, 4, 19, 45],  # Friday, 16 May 2014
        [69, 11, 30, 2, 23, 59],  # Wednesday, 31 December 1969
        none,
        [100, 1, 28, 1, 0, 0],  # Tuesday, 29 February 2000
        none,
        [70, 0, 0, 3, 0, 0],
    ]


def test_date_when_text_then_parts_are_as_written_and_what_is_no_date_is_missing(table):
    none = [MISSING - FIRST] * len(PARTS)
    assert _parts(table, "iso") == [
        [114, 4, 15, 4, 19, 45],
        [69, 11, 30, 2, 23, 59],
        none,
        [100, 1, 28, 1, 0, 0],
        none,
        none,
    ]


def test_date_when_milliseconds_then_are_cut_to_seconds(table):
    np.testing.assert_array_equal(
        table.features["millis_minute"][:, 0],
        [FIRST, FIRST + 1, MISSING, FIRST, FIRST, FIRST],
    )


def test_date_when_any_day_of_800_years_then_is_that_of_python():
    import datetime

    from trainer_module.tasks.tabular.features import dates

    first = datetime.date(1799, 1, 1)
    days = [first + datetime.timedelta(days=i) for i in range(0, 800 * 365, 17)]
    since = tf.constant([(day - datetime.date(1970, 1, 1)).days for day in days], tf.int64)
    civil = [[day.year, day.month, day.day] for day in days]
    found = dates._civil_from_days(since)
    np.testing.assert_array_equal(tf.stack(found, axis=1), civil)
    np.testing.assert_array_equal(dates._days_from_civil(*found), since)


def test_cross_when_all_parts_are_equal_then_so_is_the_id(table):
    ids = table.features["city_place"][:, 0]
    assert len(set(ids.tolist())) == 6, "no two rows have city and place in common"
    again = table.served([ROW_LIKE_0])["city_place"][0, 0]
    assert again == ids[0]


ROW_LIKE_0 = {"city": ["Oslo"], "place": [1.2], "code": [8], "iso": ["2020-01-01T19:00"]}


def test_cross_when_of_the_part_of_a_date_then_reads_that_part(table):
    served = table.served([ROW_LIKE_0, {**ROW_LIKE_0, "iso": ["2020-01-01T18:00"]}])
    ids = served["code_iso_hour"][:, 0]
    assert ids[0] == table.features["code_iso_hour"][0, 0] != ids[1]


def test_label_when_classes_are_texts_then_is_the_place_among_them_or_none(table):
    np.testing.assert_array_equal(table.features["label"], [1, 0, 0, 1, -1, 0])


@pytest.mark.parametrize("batch", [1, len(ROWS)])
def test_served_graph_when_asked_then_gives_the_bits_of_transform(table, batch):
    for start in range(0, len(ROWS), batch):
        served = table.served(table.rows[start : start + batch])
        assert served.keys() == table.features.keys()
        for name, values in served.items():
            assert values.tobytes() == table.features[name][start : start + batch].tobytes(), name


def test_served_graph_when_there_is_no_label_then_gives_all_else(table):
    served = table.served(table.rows, leave_out=["label"])
    assert served.keys() == table.features.keys() - {"label"}


def test_served_graph_when_a_row_holds_nothing_then_all_is_missing(table):
    served = table.served([{}])
    assert served["label"].tolist() == [-1]
    assert served["city"].tolist() == [[MISSING]]
    assert served["numeric"][0, -2:].tolist() == [1, 1]


def test_served_graph_when_the_class_is_unknown_then_names_it(table):
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"allowed: no, yes; found.*maybe"):
        table.served([{"label": ["maybe"]}])


def test_numbers_when_rows_hold_vectors_then_each_place_is_a_number(table):
    np.testing.assert_array_equal(_column(table, "vector.0"), np.float32([1, 3, -1, 5, 7, 0]))
    np.testing.assert_array_equal(_column(table, "vector.1"), np.float32([2, 4, -1, 6, -1, 0.5]))


def test_served_graph_when_a_row_holds_two_numbers_then_names_the_column(table):
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"several numbers.*ranged"):
        table.served([{"ranged": [1.0, 2.0]}])


@pytest.mark.parametrize(
    ("features", "label", "problem", "message"),
    [
        ({"b": {"kind": "numeric"}}, "y", {}, "features.b: found no column of this name; "
         "allowed: n, t"),
        ({"t": {"kind": "numeric"}}, "y", {}, "features.t.kind: found 'numeric' for a column of "
         "texts; allowed: categorical, text or date"),
        ({"n": {"kind": "text"}}, "y", {}, "features.n.kind: found 'text' for a column of numbers"),
        ({"y": {"kind": "numeric"}}, "y", {}, "task.options.features: found 'y', the label"),
        ({"n": {"kind": "numeric"}}, "t", {"problem": "regression", "classes": []},
         "task.options.problem: found 'regression' with 't', a label of texts"),
    ],
)  # fmt: skip
def test_preprocessing_fn_when_a_column_does_not_fit_then_names_the_key(
    features, label, problem, message
):
    options = {"problem": "binary", "classes": [0, 1], "features": features, **problem}
    task = Tabular(**options)
    empty = {
        name: tf.SparseTensor(np.zeros([0, 2], np.int64), tf.constant([], kind), [2, 0])
        for name, kind in {"n": tf.float32, "t": tf.string, "y": tf.int64}.items()
    }
    with pytest.raises(ValueError, match=message):
        Tabular.preprocessing_fn(empty, label=label, **task.transform_options())
