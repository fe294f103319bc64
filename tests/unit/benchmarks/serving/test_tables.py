"""The rows that the benchmark ends with, from figures."""

from __future__ import annotations

import pytest

from benchmarks.report import format_table
from benchmarks.serving.__main__ import COSTS, GAINS, cost_rows, gain_rows
from benchmarks.serving.measure import Measured
from serving.load import LoadResult


def measured(*figures):
    """Rounds of (requests a second, CPU microseconds)."""
    return [Measured(LoadResult(rate, {}, 1.0, 1.0, 2.0, rate), cpu) for rate, cpu in figures]


@pytest.mark.parametrize(("server", "met"), [(600.0, "yes"), (601.0, "no")])
def test_cost_is_relative_to_the_null_handler_and_the_raw_one_of_the_same_round(server, met):
    null, raw, ours = cost_rows(
        {
            "null": measured((9000, 100.0), (9000, 200.0), (9000, 100.0)),
            "raw": measured((2000, 400.0), (2000, 800.0), (2000, 400.0)),
            "server": measured((1500, server), (1500, 2 * server), (1500, server)),
        }
    )
    assert (null["ratio"], raw["ratio"], raw["met"]) == (1.0, 4.0, None)
    assert ours["ratio"] == server / 100
    assert ours["of_raw"] == pytest.approx(server / 400)
    assert (ours["target"], ours["met"]) == (1.5, met)
    assert "of raw" in format_table(COSTS, [null, raw, ours])


@pytest.mark.parametrize(("rate", "met"), [(1600, "yes"), (1599, "no")])
def test_gain_is_that_of_the_same_round(rate, met):
    off, on = gain_rows(
        {
            "off": measured((1000, 900.0), (500, 900.0)),
            "on": measured((rate, 500.0), (rate / 2, 500.0)),
        }
    )
    assert (off["ratio"], off["met"]) == (1.0, None)
    assert on["ratio"] == pytest.approx(rate / 1000)
    assert (on["target"], on["met"]) == (1.6, met)
    assert "gain" in format_table(GAINS, [off, on])
