"""Which requests count, and what is said of them."""

from __future__ import annotations

import math

import pytest

from serving.load.record import Record, percentile


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [
        ([5.0], 50, 5.0),
        ([5.0], 99, 5.0),
        ([1.0, 2.0], 50, 1.0),
        ([1.0, 2.0, 3.0], 50, 2.0),
        ([float(value) for value in range(1, 101)], 99, 99.0),
        ([float(value) for value in range(1, 101)], 100, 100.0),
        ([1.0, 2.0], 0, 1.0),
    ],
)
def test_percentile_is_the_nearest_rank(values, percent, expected):
    assert percentile(values, percent) == expected


def test_percentile_of_nothing_is_nan():
    assert math.isnan(percentile([], 50))


def test_record_when_requests_reach_out_of_the_window_then_they_do_not_count():
    record = Record(start=10.0, end=20.0)
    record.add(9.9, 10.5)  # began in the warmup
    record.add(19.9, 20.1)  # answered after the end
    record.add(9.9, 10.5, "503")
    record.add(10.0, 10.25)
    record.add(19.5, 20.0)
    record.add(11.0, 11.1, "503")
    result = record.result()
    assert (result.requests, result.errors, result.total) == (2, {"503": 1}, 6)
    assert (result.p50_ms, result.p99_ms) == (250.0, 500.0)
    assert (result.seconds, result.throughput) == (10.0, 0.2)
