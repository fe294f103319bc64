"""How far answers are apart, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from serving.lite.comparison import Comparison, compare, objections
from serving.lite.config import TOLERANCES, VARIANTS, LiteConfig, Tolerance


def floats(found, expected):
    figures = compare({"y": np.array(found, np.float32)}, {"y": np.array(expected, np.float32)})
    assert figures.agreement == {}
    return figures.difference["y"], figures.error["y"]


def test_agreement_when_rows_of_several_integers_then_all_of_a_row_must_be_the_same():
    found = {"a": np.array([1, 2, 3, 4]), "b": np.array([[1, 1], [2, 2], [3, 0], [0, 0]])}
    expected = {"a": np.array([1, 2, 3, 0]), "b": np.array([[1, 1], [2, 2], [3, 3], [4, 4]])}
    figures = compare(found, expected)
    assert figures.agreement == {"a": 0.75, "b": 0.5}
    assert figures.difference == figures.error == {}


def test_difference_when_values_are_large_then_is_relative_to_them():
    assert floats([0.5, 1010.0], [0.25, 1000.0])[0] == pytest.approx(0.25)
    assert floats([0.0, 1010.0], [0.001, 1000.0])[0] == pytest.approx(0.01)


def test_error_when_the_answers_vary_then_is_relative_to_their_standard_deviation():
    # About the mean of each column: a constant one adds nothing to the scale.
    assert floats([[1.0, 9.0], [4.0, 9.0]], [[1.0, 9.0], [3.0, 9.0]])[1] == pytest.approx(
        np.sqrt(1 / 4) / np.sqrt(2 / 4)
    )
    assert floats([11.0, 12.0], [1.0, 2.0])[1] == pytest.approx(20.0)


def test_error_when_the_answers_are_the_same_in_every_row_then_is_relative_to_them():
    assert floats([4.0, 4.0], [5.0, 5.0])[1] == pytest.approx(0.2)
    assert floats([0.5, 0.5], [0.0, 0.0])[1] == pytest.approx(0.5)
    assert floats([0.0], [0.0]) == (0.0, 0.0)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("variant", VARIANTS)
def test_floats_when_not_finite_then_no_variant_may_have_them(variant, value):
    comparison = compare({"y": np.array([1.0, value])}, {"y": np.array([1.0, 2.0])})
    assert comparison.difference["y"] == comparison.error["y"] == np.inf
    assert objections(comparison, LiteConfig().tolerance(variant))


def test_compare_when_outputs_or_shapes_differ_then_says_how():
    one, other = {"y": np.zeros(2)}, {"y": np.zeros((2, 1))}
    with pytest.raises(ValueError, match=r"found \['y'\]; expected \['z'\]"):
        compare(one, {"z": np.zeros(2)})
    with pytest.raises(ValueError, match=r"output y: found shape \(2,\); expected \(2, 1\)"):
        compare(one, other)


FIGURES = Comparison(agreement={"class_id": 0.96}, difference={"y": 0.02}, error={"y": 0.3})


def test_objections_when_outside_then_gives_each_figure_and_its_bound():
    assert objections(FIGURES, Tolerance(agreement=0.97, difference=0.01, error=0.2)) == [
        "agreement of class_id 0.9600 < 0.97",
        "difference of y 0.02 > 0.01",
        "error of y 0.3 > 0.2",
    ]


def test_objections_when_at_the_bound_or_not_asked_then_none():
    assert objections(FIGURES, Tolerance(agreement=0.96, difference=0.02, error=0.3)) == []
    assert objections(FIGURES, Tolerance()) == []


def test_objections_when_an_agreement_is_no_number_then_there_is_one():
    assert objections(FIGURES.model_copy(update={"agreement": {"a": np.nan}}), TOLERANCES["int8"])
