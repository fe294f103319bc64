"""What every split promises, however its rows are stored; and how steps are grouped into calls."""

from __future__ import annotations

import numpy as np
import pytest

from trainer_module.config.input import AugmentConfig
from trainer_module.data import WEIGHT, Call, ImageAugment, Plan, Share, plan_calls

CACHES = ("memory", "file", "none")
AUGMENT = ImageAugment(
    AugmentConfig(flip="both", rotation=30, zoom=0.2, translation=0.2, contrast=0.3)
)
TWO_REPLICAS = (Share(2, 0, 2),)
TWO_WORKERS = (Share(2, 0, 1), Share(2, 1, 1))
SHARES = {
    "2 replicas": TWO_REPLICAS,
    "4 replicas": (Share(4, 0, 4),),
    "2 workers": TWO_WORKERS,
    "2 workers of 2": (Share(4, 0, 2), Share(4, 2, 2)),
}


@pytest.fixture(params=CACHES)
def cache(request):
    return request.param


def _assert_same(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        for name in other:
            np.testing.assert_array_equal(one[name], other[name])


def _ids(steps):
    return [row for step in steps for row in step["id"].tolist()]


def test_plan_calls_when_an_epoch_or_the_training_ends_then_a_call_does():
    assert plan_calls(0, 12, steps_per_epoch=5, steps_per_call=3) == [
        Call(0, 3),
        Call(3, 2),
        Call(5, 3),
        Call(8, 2),
        Call(10, 2),
    ]
    assert plan_calls(6, 10, steps_per_epoch=5, steps_per_call=10) == [Call(6, 4)]
    assert plan_calls(10, 10, steps_per_epoch=5, steps_per_call=3) == []


def test_training_when_the_batch_divides_the_rows_then_an_epoch_takes_each_row_once(
    cache, opened, numbered, train_steps
):
    steps = train_steps(opened(numbered(24), cache), 12, batch_size=6)
    assert len(steps) == 12
    for epoch in (steps[0:4], steps[4:8], steps[8:12]):
        assert sorted(_ids(epoch)) == list(range(24))


def test_training_when_rows_remain_then_an_epoch_takes_none_twice(
    cache, opened, numbered, train_steps
):
    steps = train_steps(opened(numbered(26), cache), 60, batch_size=8)
    left_out = set()
    for first in range(0, 60, 3):
        taken = _ids(steps[first : first + 3])
        assert len(set(taken)) == 24
        left_out |= set(range(26)) - set(taken)
    assert len(left_out) > 2, "the rows that sit an epoch out are not the same ones every time"


def test_training_when_epochs_or_seeds_differ_then_orders_differ(
    cache, opened, numbered, train_steps
):
    split = opened(numbered(24), cache)
    steps, other = (train_steps(split, 8, batch_size=6, seed=seed) for seed in (3, 4))
    epochs = [_ids(steps[:4]), _ids(steps[4:]), _ids(other[:4]), _ids(other[4:])]
    assert len({tuple(epoch) for epoch in epochs}) == 4
    assert list(range(24)) not in epochs


def test_training_when_a_row_is_drawn_then_all_its_features_are(
    cache, opened, numbered, train_steps, images
):
    for step in train_steps(opened(numbered(24), cache), 4, batch_size=6):
        assert step["id"].dtype == np.int64
        np.testing.assert_array_equal(step["image"], images(step["id"]))


def test_training_when_started_at_any_step_then_gives_the_tail_of_the_whole(
    cache, opened, numbered, train_steps
):
    split = opened(numbered(26), cache)
    whole = train_steps(split, 8, batch_size=6)
    for start in range(1, 8):
        _assert_same(train_steps(split, 8, batch_size=6, start=start), whole[start:])


@pytest.mark.parametrize("shares", [(Share(),), TWO_REPLICAS], ids=["1 replica", "2 replicas"])
def test_training_when_augmented_and_started_in_mid_call_then_gives_the_tail_of_the_whole(
    cache, shares, opened, numbered, train_steps
):
    split = opened(numbered(26), cache)
    whole = train_steps(split, 7, batch_size=6, augment=AUGMENT)
    tail = train_steps(split, 7, batch_size=6, start=5, shares=shares, augment=AUGMENT)
    _assert_same(tail, whole[5:])


def test_training_when_calls_are_cut_otherwise_then_steps_are_the_same(
    cache, opened, numbered, train_steps
):
    split = opened(numbered(26), cache)
    whole = train_steps(split, 12, batch_size=6, augment=AUGMENT)
    found = train_steps(split, 12, batch_size=6, steps_per_call=7, augment=AUGMENT)
    _assert_same(found, whole)


@pytest.mark.parametrize("shares", SHARES.values(), ids=SHARES)
def test_training_when_replicas_share_a_step_then_their_parts_make_up_its_batch(
    cache, shares, opened, numbered, train_steps
):
    split = opened(numbered(26), cache)
    alone = train_steps(split, 6, batch_size=8, augment=AUGMENT)
    shared = train_steps(split, 6, batch_size=8, shares=shares, augment=AUGMENT)
    _assert_same(shared, alone)


def test_training_when_augmented_then_every_step_and_row_is_changed_in_its_own_way(
    cache, opened, numbered, train_steps, images
):
    split = opened(numbered(8), cache)
    augment = ImageAugment(AugmentConfig(contrast=0.5))
    steps = train_steps(split, 3, batch_size=8, augment=augment)
    plain = train_steps(split, 3, batch_size=8)
    assert _ids(steps) == _ids(plain)
    stored = images(range(8)).std(axis=(1, 2, 3))
    factors = [step["image"].std(axis=(1, 2, 3)) / stored[step["id"]] for step in steps]
    assert len({round(float(factor), 5) for factor in np.concatenate(factors)}) == 24


def test_evaluation_when_the_training_is_augmented_then_rows_are_as_they_are_stored(
    cache, opened, numbered, train_steps, eval_rows, images
):
    split = opened(numbered(8), cache)
    step = train_steps(split, 1, batch_size=8, augment=AUGMENT)[0]
    assert not np.array_equal(step["image"], images(step["id"]))
    rows = eval_rows(split, 8)
    np.testing.assert_array_equal(rows["image"], images(rows["id"]))


@pytest.mark.parametrize("shares", [(Share(),), TWO_REPLICAS, TWO_WORKERS])
@pytest.mark.parametrize("rows", [3, 8, 13])
def test_evaluation_when_the_batch_does_not_divide_the_rows_then_padding_weighs_nothing(
    cache, rows, shares, opened, numbered, eval_rows
):
    found = eval_rows(opened(numbered(rows), cache), 8, shares)
    assert sorted(found["id"][found[WEIGHT] == 1]) == list(range(rows))
    assert np.sum(found[WEIGHT] == 0) == len(found["id"]) - rows


def test_head_when_asked_for_rows_then_gives_as_many_as_there_are(cache, opened, numbered, images):
    split = opened(numbered(5), cache)
    assert split.rows == 5
    for count, given in ((2, 2), (9, 5)):
        head = split.head(count)
        assert list(head) == ["id", "image"]
        assert len(set(head["id"])) == given
        np.testing.assert_array_equal(head["image"], images(head["id"]))


def test_split_when_read_then_has_no_tuner_whose_thread_would_be_waited_for(
    opened, numbered, cache
):
    split = opened(numbered(12), cache)
    datasets = [
        split.training(Plan(plan_calls(0, 3, 3, 3), 3, 4, 0, AUGMENT), Share()),
        split.evaluation(4, Share()),
    ]
    assert [dataset.options().autotune.enabled for dataset in datasets] == [False, False]
