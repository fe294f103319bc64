"""Two replicas train as one device does."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="module")
def runs(drive: Callable, tmp_path_factory: pytest.TempPathFactory) -> tuple:
    """20 steps of one device, and of two replicas; dropout off, since replicas draw their own."""
    root: Path = tmp_path_factory.mktemp("mirrored")
    same = {"epochs": 2, "steps_per_call": 1, "dropout": 0.0}
    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(drive, root / "one", **same)
        two = pool.submit(drive, root / "two", strategy="mirrored", replicas=2, **same)
    for run in (one.result(), two.result()):
        assert run.returncode == 0, run.stderr[-3000:]
    return one.result(), two.result()


def test_losses_when_two_replicas_share_the_batch_then_follow_one_device(runs):
    one, two = (dict(run.losses()) for run in runs)
    assert list(one) == list(two) == list(range(1, 21))
    np.testing.assert_allclose(list(two.values()), list(one.values()), rtol=0, atol=1e-5)


def test_metrics_when_two_replicas_share_the_batch_then_are_means_over_all_its_rows(runs):
    one, two = (run.calls() for run in runs)
    for (step, ours), (_, theirs) in zip(two, one, strict=True):
        assert ours.keys() == theirs.keys()
        for name in ours:
            message = f"{name} at step {step}"
            np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-3, err_msg=message)


def test_evaluation_when_two_replicas_share_it_then_is_that_of_one_device(runs):
    one, two = (run.result()["evaluations"] for run in runs)
    assert len(one) == 2
    for ours, theirs in zip(two, one, strict=True):
        assert ours.keys() == theirs.keys()
        for name in ours:
            np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-4, err_msg=name)


def test_weights_when_two_replicas_share_the_batch_then_follow_one_device(runs):
    one, two = (run.weights() for run in runs)
    for ours, theirs in zip(two, one, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-4)
