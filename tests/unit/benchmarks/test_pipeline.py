"""The table of a whole run against TFX's example."""

from __future__ import annotations

import pytest

from benchmarks.pipeline.__main__ import REST, WHOLE, Timed, time_rows


def test_time_rows_when_both_ran_twice_then_gives_medians_by_node_and_the_ratio_of_the_rounds():
    rounds = [
        (Timed(100.0, {"A": 40.0, "B": 10.0}), Timed(30.0, {"A": 20.0, "Gate": 1.0})),
        (Timed(200.0, {"A": 60.0, "B": 10.0}), Timed(40.0, {"A": 20.0, "Gate": 3.0})),
    ]
    rows = {row["node"]: row for row in time_rows(rounds)}
    assert list(rows) == ["A", "B", "Gate", REST, WHOLE]
    assert (rows["A"]["tfx"], rows["A"]["tapeline"]) == (50.0, 20.0)
    assert (rows["B"]["tfx"], rows["B"]["tapeline"]) == (10.0, None)
    assert (rows["Gate"]["tfx"], rows["Gate"]["tapeline"]) == (None, 2.0)
    assert (rows[REST]["tfx"], rows[REST]["tapeline"]) == (90.0, 13.0)
    whole = rows[WHOLE]
    assert (whole["tfx"], whole["tapeline"]) == (150.0, 35.0)
    assert whole["ratio"] == pytest.approx((0.3 + 0.2) / 2)
    assert (whole["lowest"], whole["highest"]) == (pytest.approx(0.2), pytest.approx(0.3))
