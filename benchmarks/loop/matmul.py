"""The machine's matrix-multiply peak: one large float32 product a step."""

from __future__ import annotations

import math

from benchmarks.loop.problems import Problem
from benchmarks.loop.training import Clock, Run, Taken

import tensorflow as tf  # isort: skip

_SIDE = 2048
FLOPS = 2 * _SIDE**3
"""Floating-point operations of a step."""


def make(_problem: Problem, _steps_per_call: int) -> Run:
    left, right = tf.random.normal([2, _SIDE, _SIDE])

    def run(steps: int, _clock: Clock) -> Taken:
        for _ in range(steps):
            product = tf.matmul(left, right)
        product.numpy()
        return Taken(steps, math.nan, math.nan)

    return run
