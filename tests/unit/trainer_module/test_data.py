"""Reading examples in an order of their own, and batching them by seed and step."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip

from trainer_module.data import (  # isort: skip
    WEIGHT,
    eval_batches,
    fingerprint,
    read_examples,
    row_count,
    train_batches,
)

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


def _write(folder: Path, examples: list[bytes], files: int) -> list[str]:
    """Deals the examples out to GZIP TFRecord files; returns the pattern that matches them."""
    folder.mkdir()
    for index in range(files):
        path = str(folder / f"data-{index:05d}.gz")
        with tf.io.TFRecordWriter(path, tf.io.TFRecordOptions(compression_type="GZIP")) as writer:
            for example in examples[index::files]:
                writer.write(example)
    return [str(folder / "data-*.gz")]


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
    examples, tmp_path
):
    expected = read_examples(_write(tmp_path / "one", examples, files=1), SPEC)
    shuffled = [examples[i] for i in np.random.default_rng(5).permutation(len(examples))]
    _assert_equal(read_examples(_write(tmp_path / "three", shuffled, files=3), SPEC), expected)
    _assert_equal(read_examples(_write(tmp_path / "back", examples[::-1], files=2), SPEC), expected)


def test_read_examples_when_given_several_patterns_then_reads_them_all(examples, tmp_path):
    first = _write(tmp_path / "first", examples[:20], files=2)
    second = _write(tmp_path / "second", examples[20:], files=1)
    together = _write(tmp_path / "together", examples, files=1)
    _assert_equal(read_examples(first + second, SPEC), read_examples(together, SPEC))


def test_read_examples_when_rows_are_read_then_features_of_a_row_stay_together(examples, tmp_path):
    arrays = read_examples(_write(tmp_path / "data", examples, files=2), SPEC)
    assert arrays["image"].shape == (32, 2, 2)
    assert arrays["image"].dtype == np.float32
    index = arrays["image"][:, 0, 0].astype(int)
    np.testing.assert_array_equal(arrays["class"], index % 10)
    assert arrays["writer"].tolist() == [b"w%d" % (i % 3) for i in index]
    assert set(index) == set(range(30))


def test_read_examples_when_rows_are_equal_then_keeps_each(examples, tmp_path):
    arrays = read_examples(_write(tmp_path / "data", examples, files=2), SPEC)
    assert row_count(arrays) == 32
    assert np.sum(arrays["image"][:, 0, 0] == 29) == 3


def test_read_examples_when_strings_alone_tell_rows_apart_then_orders_by_them(tmp_path):
    rows = [_example([1, 2, 3, 4], 5, b"writer %d" % i) for i in range(12)]
    forth = read_examples(_write(tmp_path / "forth", rows, files=1), SPEC)
    back = read_examples(_write(tmp_path / "back", rows[::-1], files=1), SPEC)
    assert forth["writer"].tolist() == back["writer"].tolist()
    assert sorted(forth["writer"]) == sorted(b"writer %d" % i for i in range(12))


def test_read_examples_when_rows_are_sorted_in_the_files_then_the_order_is_not_theirs(tmp_path):
    rows = [_example([i, 0, 0, 0], 0, b"w") for i in range(32)]
    found = read_examples(_write(tmp_path / "data", rows, files=1), SPEC)["image"][:, 0, 0]
    assert found.tolist() != sorted(found)


@pytest.mark.parametrize("feature", [tf.io.VarLenFeature(tf.int64), tf.io.RaggedFeature(tf.int64)])
def test_read_examples_when_a_feature_is_not_of_fixed_length_then_names_it(
    feature, examples, tmp_path
):
    patterns = _write(tmp_path / "data", examples, files=1)
    with pytest.raises(ValueError, match=f"'class': found {type(feature).__name__}"):
        read_examples(patterns, {**SPEC, "class": feature})


def test_read_examples_when_there_are_no_rows_then_names_the_files(tmp_path):
    patterns = _write(tmp_path / "empty", [], files=2)
    with pytest.raises(ValueError, match=r"no rows in .*empty"):
        read_examples(patterns, SPEC)


BASE = {"x": np.arange(6, dtype=np.float32).reshape(3, 2), "y": np.array([0, 1, 2])}


def test_fingerprint_when_data_are_equal_then_is_equal():
    assert fingerprint(BASE, BASE) == fingerprint(
        {name: values.copy() for name, values in BASE.items()}, BASE
    )


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({**BASE, "x": BASE["x"] + np.float32(1e-6)}, id="value"),
        pytest.param({**BASE, "y": BASE["y"].view(np.uint64)}, id="dtype"),
        pytest.param({**BASE, "x": BASE["x"].reshape(3, 2, 1)}, id="shape"),
        pytest.param({"z": BASE["x"], "y": BASE["y"]}, id="name"),
        pytest.param({**BASE, "y": BASE["y"][::-1]}, id="order"),
    ],
)
def test_fingerprint_when_data_differ_then_differs(changed):
    assert fingerprint(changed) != fingerprint(BASE)


def test_fingerprint_when_rows_move_between_splits_then_differs():
    head = {name: values[:1] for name, values in BASE.items()}
    tail = {name: values[1:] for name, values in BASE.items()}
    assert fingerprint(head, tail) != fingerprint(tail, head)
    assert fingerprint(BASE) != fingerprint(head, tail)


def test_fingerprint_when_the_same_bytes_are_cut_into_other_strings_then_differs():
    def strings(*values: bytes) -> dict[str, np.ndarray]:
        return {"s": np.array([values], dtype=object)}

    assert fingerprint(strings(b"ab", b"c")) != fingerprint(strings(b"a", b"bc"))
    assert fingerprint(strings(b"ab", b"c")) == fingerprint(strings(b"ab", b"c"))


def _rows(count: int) -> dict[str, np.ndarray]:
    return {"id": np.arange(count), "square": np.arange(count) ** 2}


def _ids(dataset: tf.data.Dataset) -> list[list[int]]:
    return [element["id"].tolist() for element in dataset.as_numpy_iterator()]


def _flat(batches: list[list[int]]) -> list[int]:
    return [row for batch in batches for row in batch]


def test_train_batches_when_the_batch_divides_the_rows_then_an_epoch_takes_each_row_once():
    ids = _ids(train_batches(_rows(24), 6, replicas=1, seed=3, start_step=0, total_steps=12))
    assert len(ids) == 12
    for epoch in (ids[0:4], ids[4:8], ids[8:12]):
        assert sorted(_flat(epoch)) == list(range(24))


def test_train_batches_when_rows_remain_then_an_epoch_takes_none_twice():
    ids = _ids(train_batches(_rows(26), 8, replicas=1, seed=3, start_step=0, total_steps=60))
    left_out = set()
    for first in range(0, 60, 3):
        taken = _flat(ids[first : first + 3])
        assert len(set(taken)) == 24
        left_out |= set(range(26)) - set(taken)
    assert len(left_out) > 2, "the rows that sit an epoch out are not the same ones every time"


def test_train_batches_when_epochs_or_seeds_differ_then_orders_differ():
    ids = _ids(train_batches(_rows(24), 6, replicas=1, seed=3, start_step=0, total_steps=8))
    other = _ids(train_batches(_rows(24), 6, replicas=1, seed=4, start_step=0, total_steps=8))
    epochs = [_flat(ids[:4]), _flat(ids[4:]), _flat(other[:4]), _flat(other[4:])]
    assert len({tuple(epoch) for epoch in epochs}) == 4
    assert list(range(24)) not in epochs


def test_train_batches_when_a_row_is_drawn_then_all_its_features_are():
    dataset = train_batches(_rows(24), 6, replicas=1, seed=0, start_step=0, total_steps=4)
    for element in dataset.as_numpy_iterator():
        np.testing.assert_array_equal(element["square"], element["id"] ** 2)


@pytest.mark.parametrize("replicas", [1, 2])
@pytest.mark.parametrize("start", [1, 3, 4, 7, 11])
def test_train_batches_when_started_at_a_step_then_gives_the_tail_of_the_whole(start, replicas):
    whole = _ids(train_batches(_rows(26), 6, replicas, seed=3, start_step=0, total_steps=12))
    tail = _ids(train_batches(_rows(26), 6, replicas, seed=3, start_step=start, total_steps=12))
    assert tail == whole[start * replicas :]
    assert len(tail) == (12 - start) * replicas


def test_train_batches_when_replicas_share_a_step_then_their_parts_make_up_its_batch():
    alone = _ids(train_batches(_rows(26), 6, replicas=1, seed=3, start_step=0, total_steps=8))
    for replicas in (2, 3):
        shared = _ids(train_batches(_rows(26), 6, replicas, seed=3, start_step=0, total_steps=8))
        assert {len(part) for part in shared} == {6 // replicas}
        steps = range(0, len(shared), replicas)
        assert [_flat(shared[first : first + replicas]) for first in steps] == alone


@pytest.mark.parametrize("replicas", [1, 2])
@pytest.mark.parametrize("rows", [1, 3, 8, 9, 13, 16])
def test_eval_batches_when_the_batch_does_not_divide_the_rows_then_padding_weighs_nothing(
    rows, replicas
):
    elements = list(eval_batches(_rows(rows), 8, replicas).as_numpy_iterator())
    assert len(elements) == -(-rows // 8) * replicas
    assert {len(element["id"]) for element in elements} == {8 // replicas}
    ids = np.concatenate([element["id"] for element in elements])
    weights = np.concatenate([element[WEIGHT] for element in elements])
    assert weights.dtype == np.float32
    np.testing.assert_array_equal(ids[weights == 1], np.arange(rows))
    assert np.sum(weights == 0) == len(ids) - rows
