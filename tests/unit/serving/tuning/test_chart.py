"""The chart is a picture, whole or absent."""

from __future__ import annotations

import pytest

from serving.tuning.candidates import BatchCost
from serving.tuning.chart import draw_curve

CURVE = [BatchCost(1, 0.2, 0.4), BatchCost(8, 0.5, 0.9), BatchCost(64, 2.0, 3.0)]


@pytest.mark.parametrize("chosen", [8, None])
def test_chart_is_a_png_of_more_than_one_colour(tmp_path, chosen):
    import numpy as np
    from matplotlib.image import imread

    path = tmp_path / "curve.png"
    draw_curve(path, "digits", CURVE, 10.0, chosen)
    picture = imread(path)
    assert picture.shape[0] > 300
    assert picture.shape[1] > 300
    assert len(np.unique(picture.reshape(-1, picture.shape[2]), axis=0)) > 10
    assert [item.name for item in tmp_path.iterdir()] == ["curve.png"]


def test_chart_when_it_is_drawn_then_needs_no_display_and_leaves_pyplot_alone(tmp_path):
    import sys

    before = "matplotlib.pyplot" in sys.modules
    draw_curve(tmp_path / "curve.png", "digits", CURVE, 10.0, None)
    assert ("matplotlib.pyplot" in sys.modules) == before
