"""Rows as tf.Examples, the split that each falls into, and how many that makes."""

import pytest

from components.example_gen.config import SPLITS, SklearnConfig, SplitsConfig
from components.example_gen.examples import intake_of, least_counts, to_example
from components.example_gen.sklearn_source import load_columns
from components.example_gen.sources import make_source
from components.example_gen.splitting import digests, hashed

SHARES = SplitsConfig(train=70, eval=10, test=20)


def test_to_example_when_values_are_of_each_kind_then_go_to_the_list_of_that_kind():
    example = to_example(
        {"n": 3, "x": 0.5, "s": "é", "ns": [1, 2], "xs": [1.5, 2], "ss": ["a", "b"], "b": b"\xff"}
    )
    feature = example.features.feature
    assert feature["n"].int64_list.value == [3]
    assert feature["x"].float_list.value == [0.5]
    assert feature["s"].bytes_list.value == ["é".encode()]
    assert feature["ns"].int64_list.value == [1, 2]
    assert feature["xs"].float_list.value == [1.5, 2.0]
    assert feature["ss"].bytes_list.value == [b"a", b"b"]
    assert feature["b"].bytes_list.value == [b"\xff"]
    assert len(feature) == 7


@pytest.mark.parametrize(
    "value", [None, [None], {"a": 1}, [1, "a"], ["a", 1.5], [[1], [2]], ["a", b"b"]]
)
def test_to_example_when_a_value_is_of_no_kind_then_names_column_and_value(value):
    with pytest.raises(TypeError) as error:
        to_example({"good": 1, "bad": value})
    assert str(error.value) == f"column 'bad': found {value!r}; allowed: numbers, text or bytes"


def split_of(content, candidates, shares, seed=0):
    (place,) = hashed(digests([content], seed), candidates, shares)
    return SPLITS[place]


@pytest.mark.parametrize("candidates", [SPLITS, ("train", "eval"), ("train", "test"), ("test",)])
def test_split_when_some_splits_are_candidates_then_they_share_as_the_config_says(candidates):
    found = [split_of(b"%d" % number, candidates, SHARES) for number in range(2000)]
    total = sum(getattr(SHARES, split) for split in candidates)
    for split in SPLITS:
        share = getattr(SHARES, split) / total if split in candidates else 0
        assert found.count(split) / 2000 == pytest.approx(share, abs=0.04)


def test_split_when_all_are_candidates_then_is_the_one_of_tfx():
    """By the rule of its ExampleGen: sha256 of the bytes, modulo the sum of the buckets."""
    # int(sha256(b"row").hexdigest(), 16) % 100 is 24.
    assert split_of(b"row", SPLITS, SplitsConfig(train=24, eval=1, test=75)) == "eval"
    assert split_of(b"row", SPLITS, SplitsConfig(train=25, eval=1, test=74)) == "train"
    assert split_of(b"row", SPLITS, SplitsConfig(train=23, eval=1, test=76)) == "test"


def test_split_when_the_seed_is_another_then_so_are_the_splits():
    rows = [b"%d" % number for number in range(200)]
    found = [[split_of(row, SPLITS, SHARES, seed) for row in rows] for seed in (0, 1, 2)]
    assert found[0] != found[1] != found[2] != found[0]


@pytest.mark.parametrize("dataset", ["digits", "breast_cancer"])
def test_split_counts_when_all_rows_are_taken_then_shares_are_about_those_of_the_config(dataset):
    splits = SplitsConfig(train=8, eval=1, test=1)
    counts = intake_of(make_source(SklearnConfig(dataset=dataset, label="x", splits=splits))).splits
    total = sum(counts.values())
    assert total == len(next(iter(load_columns(dataset).values())))
    assert counts["train"] / total == pytest.approx(0.8, abs=0.05)
    assert counts["eval"] / total == pytest.approx(0.1, abs=0.05)


@pytest.mark.parametrize("dataset", ["digits", "breast_cancer"])
def test_least_counts_when_rows_are_many_then_are_below_the_counts_but_near(dataset):
    source = make_source(SklearnConfig(dataset=dataset, label="x", splits=SHARES))
    least, counts = least_counts(source, SHARES), intake_of(source).splits
    for split in SPLITS:
        assert 0 < least[split] <= counts[split]
    assert least["train"] > 0.8 * counts["train"]


def test_least_counts_when_rows_are_few_then_promise_nothing():
    source = make_source(SklearnConfig(dataset="digits", label="digit", limit=10))
    assert least_counts(source, SHARES) == dict.fromkeys(SPLITS, 0.0)


class OwnTest:
    """A source with a test split of its own, as far as its counts go."""

    def row_counts(self):
        return {("train",): 50, ("test",): 7, ("train", "eval"): 10}


def test_least_counts_when_a_split_is_given_then_it_is_counted_exactly():
    least = least_counts(OwnTest(), SHARES)
    assert least["test"] == 7
    assert least["train"] == pytest.approx(50 + 10 * 7 / 8 - 6 * (10 * 7 / 64) ** 0.5)
    assert least["eval"] == 0
