"""Two replicas, in one process or in two, train the ready task as one device does.

With two heads of one layer each the quick tests of `strategies` hold the same of every feature.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.slow

PLAIN = {"steps_per_call": 1, "clip": None}
EXACT = {
    "plain": PLAIN,
    "accumulation": {**PLAIN, "accumulate": 2},
    "clipping": {**PLAIN, "clip": {"by": "global_norm", "at": 0.1}},
    "average": {**PLAIN, "ema": {"momentum": 0.9}},
    "calls_of_five": {**PLAIN, "steps_per_call": 5},
}
ROUGH = {
    "bfloat16": {**PLAIN, "precision": "mixed_bfloat16"},
    "float16": {**PLAIN, "precision": "mixed_float16"},
}
STRATEGIES: dict[str, dict[str, Any]] = {
    "default": {},
    "mirrored": {"strategy": "mirrored", "replicas": 2},
    "multi_worker": {"strategy": "multi_worker"},
}
SCRIPT = str(Path(__file__).with_name("variants.py"))


@pytest.fixture(scope="module")
def said(start: Callable, data: dict, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What 20 steps of each variant said, by strategy."""
    root = tmp_path_factory.mktemp("parity")
    processes = {}
    for name, keys in STRATEGIES.items():
        request = {
            "data": data,
            "strategy": {
                "epochs": 2,
                "batch_size": 32,
                "eval_batch_size": 64,
                "optimizer": {"learning_rate": 0.01},
                **keys,
            },
            "variants": {**EXACT, **ROUGH},
            "folder": str(root / name),
            "output": str(root / f"{name}.json"),
        }
        path = root / f"{name}-request.json"
        path.write_text(json.dumps(request))
        roles = {"worker": 2} if name == "multi_worker" else None
        processes[name] = start([SCRIPT, str(path)], root / "logs" / name, roles)
    for group in processes.values():
        for process in group:
            assert process.wait() == 0, process.text()[-3000:]
    return {name: json.loads((root / f"{name}.json").read_text()) for name in STRATEGIES}


def _losses(said: dict[str, Any], strategy: str, variant: str) -> np.ndarray:
    return np.array([call["loss"] for call in said[strategy][variant]["calls"]])


@pytest.mark.parametrize("strategy", ["mirrored", "multi_worker"])
@pytest.mark.parametrize("variant", EXACT)
def test_losses_when_two_replicas_share_the_batch_then_follow_one_device(said, strategy, variant):
    one, two = _losses(said, "default", variant), _losses(said, strategy, variant)
    assert len(one) == 20 // EXACT[variant]["steps_per_call"]
    np.testing.assert_allclose(two, one, rtol=0, atol=1e-5)


@pytest.mark.parametrize("strategy", ["mirrored", "multi_worker"])
@pytest.mark.parametrize("variant", ROUGH)
def test_losses_when_the_precision_is_16_bits_then_stay_near_one_device(said, strategy, variant):
    one, two = _losses(said, "default", variant), _losses(said, strategy, variant)
    np.testing.assert_allclose(two, one, rtol=0, atol=1e-2)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_losses_when_steps_are_grouped_in_calls_then_are_the_means_of_single_steps(said, strategy):
    single = _losses(said, strategy, "plain").reshape(4, 5).mean(axis=1)
    grouped = _losses(said, strategy, "calls_of_five")
    np.testing.assert_allclose(grouped, single, rtol=0, atol=1e-5)


@pytest.mark.parametrize("variant", ["clipping", "average", "bfloat16", "float16"])
def test_variants_when_compared_with_the_plain_one_then_make_a_difference(said, variant):
    plain, other = said["default"]["plain"], said["default"][variant]
    key = "evaluations" if variant == "average" else "calls"
    assert [values["loss"] for values in plain[key]] != [values["loss"] for values in other[key]]


@pytest.mark.parametrize("strategy", ["mirrored", "multi_worker"])
def test_metrics_when_two_replicas_share_them_then_are_those_of_one_device(said, strategy):
    for kind in ("calls", "evaluations"):
        ours, theirs = said[strategy]["plain"][kind], said["default"]["plain"][kind]
        assert len(ours) == len(theirs) > 0
        for two, one in zip(ours, theirs, strict=True):
            assert two.keys() == one.keys()
            for name in one:
                np.testing.assert_allclose(two[name], one[name], rtol=1e-3, err_msg=name)
