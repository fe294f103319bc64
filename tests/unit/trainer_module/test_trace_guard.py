"""A tf.function that is traced again fails, and says why."""

from __future__ import annotations

import re

import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip

from trainer_module.trace_guard import RetraceError, TraceGuard  # isort: skip


def _guarded(allowed: int = 1) -> TraceGuard:
    @tf.function
    def add(features: dict, n: object) -> object:
        return tf.nest.map_structure(lambda value: value + tf.cast(n, value.dtype), features)

    return TraceGuard(add, "train", allowed)


def _features(rows: int = 4, dtype: tf.DType = tf.float32) -> dict:
    return {"image": tf.zeros([rows, 8], dtype), "class": tf.zeros([4], tf.int64)}


def test_guard_when_arguments_stay_alike_then_returns_what_the_function_does():
    guard = _guarded()
    for number in (1, 2, 3):
        result = guard(_features(), tf.constant(number))
        assert result["class"].numpy().tolist() == [number] * 4


@pytest.mark.parametrize(
    ("arguments", "change"),
    [
        (
            (_features(rows=5), tf.constant(1)),
            "argument 1['image'] was float32 (4, 8) at the first call and is float32 (5, 8) now",
        ),
        (
            (_features(dtype=tf.float16), tf.constant(1)),
            "argument 1['image'] was float32 (4, 8) at the first call and is float16 (4, 8) now",
        ),
        (
            (_features(), 1),
            "argument 2 was int32 () at the first call and is the int 1, which a tensor would "
            "spare now",
        ),
        (
            ({"image": tf.zeros([4, 8])}, tf.constant(1)),
            "argument 1['class'] was int64 (4,) at the first call and is absent now",
        ),
    ],
)
def test_guard_when_an_argument_changes_then_names_what_it_was_and_is(arguments, change):
    guard = _guarded()
    guard(_features(), tf.constant(1))
    message = f"train: found 2 traces; allowed: 1; {change}"
    with pytest.raises(RetraceError, match=f"^{re.escape(message)}$"):
        guard(*arguments)


def test_guard_when_an_iterators_elements_change_then_names_the_feature():
    @tf.function
    def take(iterator: object) -> object:
        return next(iterator)

    guard = TraceGuard(take, "evaluate")

    def batches(rows: int) -> object:
        return iter(tf.data.Dataset.from_tensors({"image": tf.zeros([rows, 8])}))

    guard(batches(4))
    guard(batches(4))
    message = (
        "argument 1 (elements of the iterator)['image'] was float32 (4, 8) at the first call and "
        "is float32 (6, 8) now"
    )
    with pytest.raises(RetraceError, match=re.escape(message)):
        guard(batches(6))


def test_guard_when_python_state_changes_then_says_that_no_argument_did():
    state = {"rate": 1.0}

    class Reads:
        """Is traced anew for another rate, as for any Python value in a closure's key."""

        def __hash__(self) -> int:
            return hash(state["rate"])

        def __eq__(self, other: object) -> bool:
            return False

        def __repr__(self) -> str:
            return "Reads()"

    @tf.function
    def scale(value: tf.Tensor, reads: Reads) -> tf.Tensor:
        return value * state["rate"]

    guard = TraceGuard(scale, "train")
    guard(tf.constant(1.0), Reads())
    state["rate"] = 2.0
    with pytest.raises(RetraceError, match="no argument changed: Python state that it reads did"):
        guard(tf.constant(1.0), Reads())


def test_guard_when_more_traces_are_allowed_then_fails_past_them():
    guard = _guarded(allowed=2)
    guard(_features(4), tf.constant(1))
    guard(_features(5), tf.constant(1))
    with pytest.raises(RetraceError, match="found 3 traces; allowed: 2"):
        guard(_features(6), tf.constant(1))


def test_guard_when_functions_run_eagerly_then_holds_them_to_nothing():
    guard = _guarded()
    tf.config.run_functions_eagerly(True)
    try:
        for rows in (4, 5):
            assert guard(_features(rows), tf.constant(1))["image"].shape == (rows, 8)
    finally:
        tf.config.run_functions_eagerly(False)
