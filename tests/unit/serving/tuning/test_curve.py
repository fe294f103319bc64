"""Each batch size is timed, on real rows of the right number."""

from __future__ import annotations

import numpy as np
import pytest

from serving.signatures import InvalidRequest
from serving.tuning.curve import batch_sizes, measure_curve

ROWS = {"x": np.ones([2, 3], np.float32)}


@pytest.mark.parametrize(
    ("largest", "expected"), [(1, [1]), (2, [1, 2]), (5, [1, 2, 4]), (8, [1, 2, 4, 8])]
)
def test_batch_sizes_are_powers_of_two(largest, expected):
    assert batch_sizes(largest) == expected


def test_curve_has_a_cost_for_each_size(small_model):
    curve = measure_curve(small_model, "serving_default", ROWS, [1, 2, 8], seconds=0.0, calls=20)
    assert [cost.size for cost in curve] == [1, 2, 8]
    assert all(0 < cost.median_ms <= cost.p99_ms for cost in curve)


def test_curve_calls_the_model_with_the_rows_repeated(small_model, monkeypatch):
    from serving.session import SavedModelSession

    batches = []
    compiled = SavedModelSession.compiled

    def spied(self, signature):
        call = compiled(self, signature)
        return lambda arrays: batches.append(arrays[0]) or call(arrays)

    monkeypatch.setattr(SavedModelSession, "compiled", spied)
    rows = np.array([[1, 2, 3], [4, 5, 6]], np.float32)
    measure_curve(small_model, "serving_default", {"x": rows}, [1, 5], seconds=0.0, calls=1)
    assert {len(batch) for batch in batches} == {1, 5}
    np.testing.assert_array_equal(batches[-1], rows[[0, 1, 0, 1, 0]])


@pytest.mark.parametrize(
    ("signature", "inputs"),
    [("embedding", ROWS), ("serving_default", {"x": np.ones([2, 4], np.float32)})],
    ids=["no such signature", "another shape"],
)
def test_curve_when_the_rows_are_not_the_models_then_is_an_error(small_model, signature, inputs):
    with pytest.raises(InvalidRequest):
        measure_curve(small_model, signature, inputs, [1], seconds=0.0, calls=1)
