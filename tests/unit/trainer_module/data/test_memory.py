"""A split of arrays in memory."""

from __future__ import annotations

import numpy as np

from trainer_module.data import MemorySplit


def _split(rows):
    return MemorySplit({"id": np.arange(rows), "text": np.array([b"%d" % i for i in range(rows)])})


def test_memory_split_when_evaluated_then_rows_come_in_the_order_of_the_arrays(eval_rows):
    rows = eval_rows(_split(13), 5)
    np.testing.assert_array_equal(rows["id"][:13], np.arange(13))


def test_memory_split_when_features_are_text_then_gives_them(eval_rows, train_steps):
    assert eval_rows(_split(4), 4)["text"].tolist() == [b"0", b"1", b"2", b"3"]
    step = train_steps(_split(4), 1, batch_size=4)[0]
    assert step["text"].tolist() == [b"%d" % number for number in step["id"]]
    assert _split(4).head(2)["text"].tolist() == [b"0", b"1"]


def test_memory_split_when_an_epoch_is_long_then_a_row_may_come_anywhere(train_steps):
    ids = train_steps(_split(1000), 1, batch_size=1000)[0]["id"]
    assert sorted(ids) == list(range(1000))
    assert abs(np.corrcoef(ids, np.arange(1000))[0, 1]) < 0.15
