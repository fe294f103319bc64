"""The table of growth."""

from __future__ import annotations

from benchmarks.growth.__main__ import MEMORY, WHOLE, Grown, growth_rows


def test_growth_rows_when_two_runs_are_compared_then_has_microseconds_per_row_of_each_node():
    few = Grown(100, 2.0, {"A": 1.0, "B": 0.5}, 700.0)
    many = Grown(1000, 4.0, {"A": 1.0, "B": 2.0}, 900.0)
    assert growth_rows([few, many]) == [
        {"node": "A", "100": 10000.0, "1000": 1000.0},
        {"node": "B", "100": 5000.0, "1000": 2000.0},
        {"node": WHOLE, "100": 20000.0, "1000": 4000.0},
        {"node": MEMORY, "100": 700.0, "1000": 900.0},
    ]
