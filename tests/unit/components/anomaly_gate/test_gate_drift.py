"""The gate on data that moved away from the previous: values, and the share of missing ones."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.components.anomaly_gate.verdicts import stops


@pytest.mark.parametrize(
    "drift",
    [
        {"features": {"size": 0.9}},
        {"features": {"size": None}},
        {"jensen_shannon_divergence": None},
        {"jensen_shannon_divergence": 0.9},
    ],
)
def test_gate_when_a_threshold_of_drift_allows_it_then_a_shift_goes_through(
    gate, rows, first, drift
):
    assert gate.run(rows(1, size=rows(1)["size"] + 1.5), first, {"drift": drift}).found() == []


def test_gate_when_a_feature_has_a_lower_threshold_of_drift_then_a_smaller_shift_stops(
    gate, rows, first
):
    data = rows(1, size=rows(1)["size"] + 0.5)
    assert gate.run(data, first).found() == []
    drift = {"features": {"size": 0.01}}
    assert [found["feature"] for found in stops(gate.stopped(data, first, {"drift": drift}))] == [
        "size"
    ]


@pytest.fixture
def sparse(rows):
    """Draws a span in which `size` is missing in a share of the rows."""

    def draw(seed, share):
        data = rows(seed)
        return data.assign(size=data["size"].where(rows(seed + 50)["hour"] >= 24 * share))

    return draw


@pytest.mark.parametrize(("before", "now"), [(0.125, 0.5), (0.5, 0.125)])
def test_gate_when_the_share_of_missing_values_has_changed_then_stops_it(gate, sparse, before, now):
    first = gate.run(sparse(0, before))
    verdict = gate.stopped(sparse(1, now), first)
    (found,) = stops(verdict)
    assert (found["feature"], found["rule"]) == ("size", "drift")
    assert (found["against"], found["splits"]) == ("previous data", ["train"])
    measure, _, most = found["expected"].split()
    change, _, shares = found["found"].partition(", ")
    assert measure == "missing"
    assert 0.05 < float(most) < float(change) == pytest.approx(0.375, abs=0.05)
    assert shares.startswith("from ") and shares.endswith("% of the rows")
    (distance,) = [d for d in verdict["distances"] if d["measure"] == "missing" and d["distance"]]
    assert distance["threshold"] == 0.05
    assert float(most) == pytest.approx(0.05 + distance["chance"], abs=1e-3)


@pytest.mark.parametrize(
    "drift", [{"missing": None}, {"missing": 0.6}, {"features": {"size": None}}]
)
def test_gate_when_a_threshold_of_missing_values_allows_it_then_a_change_goes_through(
    gate, sparse, drift
):
    assert gate.run(sparse(1, 0.5), gate.run(sparse(0, 0.125)), {"drift": drift}).found() == []


def test_gate_when_the_share_of_missing_values_is_another_sample_of_the_same_then_goes_through(
    gate, sparse
):
    first = gate.run(sparse(0, 0.25))
    for seed in (1, 2, 3):
        assert gate.run(sparse(seed, 0.25), first, {"drift": {"missing": 0.001}}).found() == []


def test_gate_when_a_column_has_no_value_any_more_then_is_told_of_once(gate, sparse):
    first = gate.run(sparse(0, 0.25))
    found = stops(gate.stopped(sparse(1, 0.25).assign(size=np.nan), first))
    assert [one["rule"] for one in found if one["feature"] == "size"] == ["column_missing"]
