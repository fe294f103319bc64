"""What the options may say, and how a mistake in them is told."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from trainer_module.tasks.tabular.layout import id_features
from trainer_module.tasks.tabular.options import TabularOptions

BINARY: dict[str, Any] = {
    "problem": "binary",
    "classes": [0, 1],
    "features": {
        "n": {"kind": "numeric"},
        "c": {"kind": "categorical"},
        "d": {"kind": "date", "parts": ["hour"]},
        "m": {"kind": "categorical", "max_values": 2},
    },
}


def _message(**changes: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        TabularOptions.model_validate({**BINARY, **changes})
    return str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": [0]}, "classes: found [0]; allowed: two classes, the second of which"),
        ({"classes": []}, "classes: found []; allowed: two classes"),
        ({"classes": [0, 1, 2]}, "classes: found [0, 1, 2]; allowed: two classes"),
        ({"classes": [1, "1"]}, "classes: found [1, '1']; allowed: each class once"),
        ({"problem": "multiclass", "classes": ["a"]}, "allowed: two classes or more"),
        ({"problem": "regression"}, "classes: found [0, 1]; allowed: none, with problem"),
        ({"problem": "ranking"}, "Input should be 'binary', 'multiclass' or 'regression'"),
        ({"features": {}}, "features"),
        ({"hidden": []}, "hidden"),
        ({"dropout": 1.0}, "dropout"),
    ],
)
def test_options_when_the_problem_does_not_fit_then_say_what_is_allowed(changes, message):
    assert message in _message(**changes)


@pytest.mark.parametrize(
    ("feature", "message"),
    [
        ({"kind": "number"}, "'numeric', 'categorical', 'text', 'date'"),
        ({"kind": "numeric", "scale": "logg"}, "'z_score', 'log', 'min_max' or 'none'"),
        ({"kind": "numeric", "clip": [1, 1]}, "allowed: the least and then the greatest"),
        ({"kind": "numeric", "missing": "mode"}, "allowed: 'mean', 'median' or a number"),
        ({"kind": "numeric", "missing": True}, "allowed: 'mean', 'median' or a number"),
        ({"kind": "numeric", "missing": float("nan")}, "allowed: 'mean', 'median' or a number"),
        ({"kind": "numeric", "top_k": 5}, "Extra inputs are not permitted"),
        ({"kind": "categorical", "hash_buckets": 9, "top_k": 5},
         "hash_buckets: found 9 with top_k; allowed: null, or no key of a vocabulary"),
        ({"kind": "date", "parts": ["hour", "hour"]}, "allowed: each part once"),
    ],
)  # fmt: skip
def test_options_when_a_feature_does_not_fit_then_say_which_and_what_is_allowed(feature, message):
    found = _message(features={"x": feature})
    assert "features.x" in found
    assert message in found


@pytest.mark.parametrize(
    ("crosses", "message"),
    [
        ([{"of": ["c", "n"]}], "crosses.0.of: found 'n'; allowed: each once, of: c, d.hour"),
        ([{"of": ["c", "m"]}], "crosses.0.of: found 'm'"),
        ([{"of": ["c", "c"]}], "crosses.0.of: found ['c', 'c']"),
        ([{"of": ["c", "d.hour"]}] * 2, "crosses.1.of: found ['c', 'd.hour'] again"),
    ],
)
def test_options_when_a_cross_is_of_what_has_no_id_then_say_what_has(crosses, message):
    assert message in _message(crosses=crosses)


def test_options_when_a_column_is_called_as_the_part_of_a_date_then_are_refused():
    features = {**BINARY["features"], "d.hour": {"kind": "categorical"}}
    assert "found 'd.hour' both as a column and as the part of a date" in _message(
        features=features
    )


def test_layout_when_columns_are_called_anything_then_names_are_plain_and_differ():
    names = ["label", "numeric", "label_scale", "größe", "gr e", "gr_e", "gr  e", "日本", "中国",
             "numeric_2", "a/b", "a.b", "_x"]  # fmt: skip
    options = {**BINARY, "features": {name: {"kind": "categorical"} for name in names}}
    found = id_features(TabularOptions.model_validate(options))
    plain = [feature.name for feature in found.values()]
    assert len(set(plain)) == len(names)
    assert all(name.isascii() and name.replace("_", "a").isalnum() for name in plain)
    assert not {"label", "numeric", "label_scale"} & set(plain)


def test_layout_when_sized_then_has_room_for_all_that_options_allow():
    features = {
        "b": {"kind": "numeric", "buckets": 5},
        "c": {"kind": "categorical", "top_k": 10, "oov_buckets": 3, "max_values": 4},
        "h": {"kind": "categorical", "hash_buckets": 7, "embedding": 2},
        "t": {"kind": "text", "top_k": 20, "max_tokens": 6},
        "d": {"kind": "date", "parts": ["year"]},
    }
    crosses = [{"of": ["b", "h"], "buckets": 100}]
    options = TabularOptions.model_validate({**BINARY, "features": features, "crosses": crosses})
    assert {f.name: (f.width, f.size, f.embedding) for f in id_features(options).values()} == {
        "b": (1, 7, None),
        "c": (4, 15, None),
        "h": (1, 9, 2),
        "t": (6, 23, None),
        "d_year": (1, 202, None),
        "b_h": (1, 102, None),
    }
