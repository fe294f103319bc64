"""What a label is taken for, and which columns give it away."""

import numpy as np
import pyarrow as pa
import pytest

from pipeline.profile.label import power_alone, profile_label

RANDOM = np.random.default_rng(0)


def arrow(values):
    texts = isinstance(values[0], str)
    return pa.chunked_array([pa.array([v.encode() for v in values] if texts else values)])


@pytest.mark.parametrize(
    ("values", "problem", "classes"),
    [
        ([0, 1, 1, 1], "binary", {0: 0.25, 1: 0.75}),
        (["no", "yes"] * 5, "binary", {"no": 0.5, "yes": 0.5}),
        ([1, 2, 3, 3], "multiclass", {1: 0.25, 2: 0.25, 3: 0.5}),
        (["a", "b", "c", "d"], "multiclass", dict.fromkeys("abcd", 0.25)),
        (list(range(100)), "regression", {}),
        ([0.5, 1.5, 2.5], "regression", {}),
    ],
)
def test_label_when_values_look_like_something_then_is_that(values, problem, classes):
    found = profile_label("y", arrow(values), None)
    assert (found.problem, found.classes) == (problem, classes)


def test_label_when_told_then_is_taken_for_that():
    assert profile_label("y", arrow([1, 2, 3]), "regression").mean == 2
    assert len(profile_label("y", arrow(list(range(100))), "multiclass").classes) == 100


@pytest.mark.parametrize(
    ("values", "problem", "message"),
    [
        ([1, 1], None, "found 1 value"),
        (["a", "b"], "regression", "found texts"),
        ([1, 2, 3], "binary", "found 3 classes; allowed: two"),
        ([f"k{number}" for number in range(1001)], "multiclass", "found 1001 classes"),
    ],
)
def test_label_when_it_cannot_be_learned_then_says_why(values, problem, message):
    with pytest.raises(ValueError, match=message):
        profile_label("y", arrow(values), problem)


@pytest.mark.parametrize(
    ("problem", "label"),
    [
        ("binary", [0, 1] * 300),
        ("multiclass", [0, 1, 2] * 200),
        ("regression", [float(number) for number in range(600)]),
    ],
)
def test_power_when_a_column_is_the_label_in_disguise_then_is_one_else_is_low(problem, label):
    told = arrow([f"code {value}" if problem != "regression" else 2 * value for value in label])
    noise = arrow([float(value) for value in RANDOM.normal(size=600)])
    assert power_alone(told, arrow(label), problem) > 0.99
    assert power_alone(noise, arrow(label), problem) < 0.65


def test_power_when_a_class_is_too_rare_to_tell_then_is_not_a_number():
    assert np.isnan(power_alone(arrow([1.0, 2.0, 3.0]), arrow([0, 0, 1]), "binary"))
