"""The networks that loops are timed on, and the operations counted in them."""

from __future__ import annotations

import io
from contextlib import redirect_stdout

import numpy as np
import pytest

from benchmarks.loop import models
from benchmarks.loop.problems import PROBLEMS

import tensorflow as tf  # isort: skip


def _profiled_forward_flops(model) -> int:
    """Returns what TensorFlow's own profiler counts for one example."""
    concrete = tf.function(model).get_concrete_function(tf.TensorSpec([1, 8, 8, 1]))
    options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
    options["output"] = "none"
    with redirect_stdout(io.StringIO()):
        profile = tf.compat.v1.profiler.profile(concrete.graph, options=options)
    return profile.total_float_ops


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.kind)
def test_flops_of_a_step_are_three_forward_passes_as_the_profiler_counts_them(problem):
    model = models.build_model(problem)
    # The profiler also counts biases and pooling, which are few.
    assert models.train_flops(model) == pytest.approx(3 * _profiled_forward_flops(model), rel=0.02)


def test_every_loop_starts_from_the_same_weights():
    first, second = (models.build_model(PROBLEMS[1]).get_weights() for _ in range(2))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


def test_rows_are_whole_repeats_of_the_digits():
    images, classes = models.rows()
    assert images.shape == (1797 * 32, 8, 8, 1)
    assert images.dtype == np.float32
    assert classes.dtype == np.int64
    assert (images.min(), images.max()) == (0.0, 1.0)
    np.testing.assert_array_equal(images[:1797], images[1797 : 2 * 1797])
    np.testing.assert_array_equal(classes[:1797], classes[1797 : 2 * 1797])
