"""Spans: which files are the latest, by the numbers or dates in their names."""

import pytest

from components.example_gen.source import DataError
from components.example_gen.spans import has_span, latest_spans


def latest(*arguments):
    """The paths of the latest spans, one after the other."""
    return [name for names in latest_spans(*arguments).values() for name in names]


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Makes empty files; patterns are then relative to their folder."""

    def make(*names):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()

    monkeypatch.chdir(tmp_path)
    return make


def test_latest_when_spans_are_numbers_then_is_the_highest_number(files):
    files("span-2/a.csv", "span-10/a.csv", "span-9/a.csv", "span-x/a.csv")
    assert latest("span-{SPAN}/a.csv", 1) == ["span-10/a.csv"]


def test_latest_when_the_window_is_longer_then_the_oldest_comes_first(files):
    files("1.csv", "2.csv", "3.csv")
    assert latest("{SPAN}.csv", 2) == ["2.csv", "3.csv"]
    assert latest("{SPAN}.csv", 9) == ["1.csv", "2.csv", "3.csv"]


def test_latest_when_spans_are_dates_then_is_the_last_day(files):
    files("2025-12-31.csv", "2026-01-02.csv", "2026-01-01.csv", "2026-13-01.csv")
    assert latest("{YYYY}-{MM}-{DD}.csv", 2) == ["2026-01-01.csv", "2026-01-02.csv"]


def test_latest_when_a_span_has_versions_then_is_its_highest_alone(files):
    files("s1v9.csv", "s2v1.csv", "s2v12.csv", "s2v3.csv")
    assert latest("s{SPAN}v{VERSION}.csv", 2) == ["s1v9.csv", "s2v12.csv"]


def test_latest_when_a_span_has_several_files_then_are_all_of_them(files):
    files("3/a.csv", "3/b.csv", "2/a.csv")
    assert latest("{SPAN}/*.csv", 1) == ["3/a.csv", "3/b.csv"]


def test_latest_when_spans_have_numbers_then_says_which(files):
    files("7.csv", "9.csv", "1970-01-11.csv")
    assert list(latest_spans("{SPAN}.csv", 2)) == [7, 9]
    assert list(latest_spans("{YYYY}-{MM}-{DD}.csv", 2)) == [10]


def test_latest_when_the_last_one_is_named_then_no_later_ones_are_read(files):
    files("1.csv", "2.csv", "3.csv", "2026-01-01.csv", "2026-01-02.csv")
    assert latest("{SPAN}.csv", 1, 2) == ["2.csv"]
    assert latest("{SPAN}.csv", 2, 2) == ["1.csv", "2.csv"]
    assert latest("{YYYY}-{MM}-{DD}.csv", 1, "2026-01-01") == ["2026-01-01.csv"]


@pytest.mark.parametrize(
    ("pattern", "last", "allowed"),
    [
        ("{SPAN}.csv", 4, "null, or one of 1, 3"),
        ("{SPAN}.csv", "1970-01-02", "null, or one of 1, 3"),
        ("{YYYY}-{MM}-{DD}.csv", "2026-01-02", "null, or one of 2026-01-01"),
        ("{YYYY}-{MM}-{DD}.csv", 20454, "null, or one of 2026-01-01"),
    ],
)
def test_latest_when_the_last_one_is_not_there_then_says_which_are(files, pattern, last, allowed):
    files("1.csv", "3.csv", "2026-01-01.csv")
    with pytest.raises(DataError) as error:
        latest_spans(pattern, 1, last)
    assert str(error.value) == f"{pattern}: no span {last}; allowed: {allowed}"


def test_latest_when_nothing_matches_then_says_so(files):
    files("a.csv")
    with pytest.raises(DataError, match="found no span; allowed: files or folders"):
        latest_spans("{SPAN}.csv", 1)


@pytest.mark.parametrize(
    ("path", "expected"),
    [("data/*.csv", False), ("{SPAN}/x", True), ("{YYYY}/{MM}/{DD}/v{VERSION}", True)],
)
def test_has_span_when_a_pattern_is_whole_then_says_whether_it_is_one(path, expected):
    assert has_span(path) is expected


@pytest.mark.parametrize(
    "path", ["{YYYY}-{MM}", "{SPAN}/{SPAN}", "{VERSION}.csv", "{SPAN}/{YYYY}-{MM}-{DD}"]
)
def test_has_span_when_a_pattern_leaves_the_span_open_then_is_refused(path):
    with pytest.raises(DataError, match=r"allowed: \{SPAN\}, or \{YYYY\}"):
        has_span(path)
