"""Reading examples in an order of their own, and a hash of them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip

from trainer_module.data.arrays import read_examples, row_count  # isort: skip

SPEC = {
    "image": tf.io.FixedLenFeature([2, 2], tf.float32),
    "class": tf.io.FixedLenFeature([], tf.int64),
    "writer": tf.io.FixedLenFeature([], tf.string),
}


def _example(image: Iterable[float], digit: int, writer: bytes) -> bytes:
    feature = {
        "image": tf.train.Feature(float_list={"value": image}),
        "class": tf.train.Feature(int64_list={"value": [digit]}),
        "writer": tf.train.Feature(bytes_list={"value": [writer]}),
    }
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


@pytest.fixture
def examples() -> list[bytes]:
    """30 rows, the last one twice more."""
    distinct = [_example([i, 0.5, i / 7, -i], i % 10, b"w%d" % (i % 3)) for i in range(30)]
    return distinct + distinct[-1:] * 2


def _assert_equal(found: dict, expected: dict) -> None:
    assert list(found) == list(expected)
    for name in expected:
        assert found[name].dtype == expected[name].dtype
        np.testing.assert_array_equal(found[name], expected[name])


def test_read_examples_when_rows_come_in_other_orders_and_files_then_gives_the_same_arrays(
    examples, write
):
    expected = read_examples(write("one", examples, files=1), SPEC)
    shuffled = [examples[i] for i in np.random.default_rng(5).permutation(len(examples))]
    _assert_equal(read_examples(write("three", shuffled, files=3), SPEC), expected)
    _assert_equal(read_examples(write("back", examples[::-1], files=2), SPEC), expected)


def test_read_examples_when_given_several_patterns_then_reads_them_all(examples, write):
    first = write("first", examples[:20], files=2)
    second = write("second", examples[20:], files=1)
    together = write("together", examples, files=1)
    _assert_equal(read_examples(first + second, SPEC), read_examples(together, SPEC))


def test_read_examples_when_rows_are_read_then_features_of_a_row_stay_together(examples, write):
    arrays = read_examples(write("data", examples, files=2), SPEC)
    assert arrays["image"].shape == (32, 2, 2)
    assert arrays["image"].dtype == np.float32
    index = arrays["image"][:, 0, 0].astype(int)
    np.testing.assert_array_equal(arrays["class"], index % 10)
    assert arrays["writer"].tolist() == [b"w%d" % (i % 3) for i in index]
    assert set(index) == set(range(30))


def test_read_examples_when_rows_are_equal_then_keeps_each(examples, write):
    arrays = read_examples(write("data", examples, files=2), SPEC)
    assert row_count(arrays) == 32
    assert np.sum(arrays["image"][:, 0, 0] == 29) == 3


def test_read_examples_when_strings_alone_tell_rows_apart_then_orders_by_them(write):
    rows = [_example([1, 2, 3, 4], 5, b"writer %d" % i) for i in range(12)]
    forth = read_examples(write("forth", rows, files=1), SPEC)
    back = read_examples(write("back", rows[::-1], files=1), SPEC)
    assert forth["writer"].tolist() == back["writer"].tolist()
    assert sorted(forth["writer"]) == sorted(b"writer %d" % i for i in range(12))


def test_read_examples_when_rows_are_sorted_in_the_files_then_the_order_is_not_theirs(write):
    rows = [_example([i, 0, 0, 0], 0, b"w") for i in range(32)]
    found = read_examples(write("data", rows, files=1), SPEC)["image"][:, 0, 0]
    assert found.tolist() != sorted(found)


@pytest.mark.parametrize("feature", [tf.io.VarLenFeature(tf.int64), tf.io.RaggedFeature(tf.int64)])
def test_read_examples_when_a_feature_is_not_of_fixed_length_then_names_it(
    feature, examples, write
):
    patterns = write("data", examples, files=1)
    with pytest.raises(ValueError, match=f"'class': found {type(feature).__name__}"):
        read_examples(patterns, {**SPEC, "class": feature})


def test_read_examples_when_there_are_no_rows_then_names_the_files(write):
    patterns = write("empty", [], files=2)
    with pytest.raises(ValueError, match=r"no rows in .*empty"):
        read_examples(patterns, SPEC)
