"""Every feature of the training engine under every strategy: it works, or is refused."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from tests.integration.strategies.driver import config_of
from tests.integration.strategies.features import FEATURES, STRATEGIES, Feature

_DRIVER = str(Path(__file__).with_name("driver.py"))
_ROLES = {
    "default": None,
    "mirrored": None,
    "multi_worker": {"worker": 2},
    "parameter_server": {"chief": 1, "ps": 1, "worker": 2},
}
_BY_NAME = {feature.name: feature for feature in FEATURES}
_PLAIN = FEATURES[0].name
_SINGLE_STEPS = "one step a call"
_REPEATABLE = ("default", "mirrored", "multi_worker")

WORKS, REFUSED, UNTRIED = "yes", "no", "untried"


Said = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def said(start: Callable, tmp_path_factory: pytest.TempPathFactory) -> Said:
    """What each feature's training said, by strategy; a cluster's processes are real."""
    return _trained(start, tmp_path_factory.mktemp("strategies"), _ROLES)


@pytest.fixture(scope="module")
def slowly_said(start: Callable, tmp_path_factory: pytest.TempPathFactory) -> Said:
    """The same of what only the slow tests try."""
    several = {name: roles for name, roles in _ROLES.items() if name != "default"}
    return _trained(start, tmp_path_factory.mktemp("slow-strategies"), several, "--slow")


def _trained(start: Callable, root: Path, roles: Mapping[str, Any], *options: str) -> Said:
    groups = {}
    for name, of_processes in roles.items():
        arguments = [_DRIVER, f"--strategy={name}", f"--output={root / name}.json", *options]
        arguments += [f"--folder={root / name}"]
        groups[name] = start(arguments, root / "logs" / name, of_processes)
    for group in groups.values():
        assert group[0].wait(900) == 0, group[0].text()[-3000:]
    return {name: json.loads((root / f"{name}.json").read_text()) for name in roles}


def _cell(feature: Feature, strategy: str) -> str:
    if strategy in feature.refused:
        return REFUSED
    return UNTRIED if strategy == "tpu" else WORKS


_RUNS = [
    pytest.param(
        feature,
        strategy,
        id=f"{feature.name}-{strategy}",
        marks=[pytest.mark.slow] if feature.is_slow(strategy) else [],
    )
    for feature in FEATURES
    for strategy in STRATEGIES
    if _cell(feature, strategy) == WORKS
]
_REFUSALS = [
    pytest.param(feature, strategy, id=f"{feature.name}-{strategy}")
    for feature in FEATURES
    for strategy in feature.refused
]


@pytest.mark.parametrize(("feature", "strategy"), _RUNS)
def test_feature_when_the_strategy_has_it_then_trains_as_on_one_device(
    feature, strategy, said, request
):
    under = request.getfixturevalue("slowly_said") if feature.is_slow(strategy) else said
    found, one = under[strategy][feature.name], said["default"][feature.name]
    assert "error" not in found, found["error"]
    assert all(math.isfinite(loss) for loss in found["losses"].values())
    for part in feature.leaves:
        assert any(part in path for path in found["files"]), found["files"]
    if feature.ends is None:
        assert (found["last_step"], found["stopped"]) == (20, None)
    else:
        assert feature.ends in found["stopped"]
    last, first = found["evaluations"][-1], found["evaluations"][0]
    if strategy == "parameter_server":
        # Its workers do not wait for each other: no two runs give the same numbers.
        assert last["loss"] < first["loss"] * 1.1
        return
    for name, value in last.items():
        tolerance = max(feature.tolerance, 2e-4) if "/" in name else feature.tolerance
        # A count of rows moves by whole rows, where two classes are as likely.
        rough = feature.tolerance > 1e-5 and not name.startswith("loss")
        expected = pytest.approx(one["evaluations"][-1][name], abs=0.05 if rough else tolerance)
        assert value == expected, name
    if feature.changes.get("steps_per_call") == "auto":
        # How long its calls are depends on how fast they were: their means are over other steps.
        return
    assert found["losses"].keys() == one["losses"].keys()
    for step in found["losses"]:
        assert found["losses"][step] == pytest.approx(one["losses"][step], abs=feature.tolerance), (
            step
        )


@pytest.mark.parametrize(
    "feature", [f for f in FEATURES if f.changes_numbers], ids=lambda feature: feature.name
)
def test_feature_when_it_is_on_then_the_numbers_are_others(feature, said):
    plain, found = said["default"][_PLAIN], said["default"][feature.name]
    assert (found["losses"], found["evaluations"]) != (plain["losses"], plain["evaluations"])


@pytest.mark.parametrize("strategy", _REPEATABLE)
def test_losses_when_steps_are_grouped_in_calls_then_are_the_means_of_single_steps(said, strategy):
    single, grouped = (_losses(said[strategy][name]) for name in (_SINGLE_STEPS, _PLAIN))
    np.testing.assert_allclose(grouped, single.reshape(4, 5).mean(axis=1), rtol=0, atol=1e-5)


def _losses(found: Mapping[str, Any]) -> np.ndarray:
    return np.array([found["losses"][step] for step in sorted(found["losses"], key=int)])


@pytest.mark.parametrize("strategy", _REPEATABLE[1:])
def test_metrics_of_calls_when_two_replicas_share_them_then_are_those_of_one_device(said, strategy):
    found, one = (said[name][_SINGLE_STEPS]["calls"] for name in (strategy, "default"))
    assert found.keys() == one.keys()
    for step, values in one.items():
        assert found[step] == pytest.approx(values, rel=1e-3), step


@pytest.mark.parametrize(("feature", "strategy"), _REFUSALS)
def test_feature_when_the_strategy_cannot_have_it_then_is_refused_with_the_reason(
    feature, strategy
):
    key = feature.refused[strategy]
    with pytest.raises(ValidationError, match=re.escape(f"{key}: found")) as caught:
        config_of(feature, strategy)
    assert "; allowed: " in str(caught.value)


@pytest.mark.parametrize("feature", [f for f in FEATURES if "tpu" not in f.refused])
def test_feature_when_the_strategy_is_tpu_then_the_configuration_holds(feature):
    assert config_of(feature, "tpu").strategy == "tpu"


def test_table_of_the_page_is_what_these_tests_show(request):
    page = (request.config.rootpath / "docs" / "training.md").read_text()
    rows = re.findall(r"^\| ([^|]+?) \| (.+?) \|$", page, re.MULTILINE)
    shown = {name: cells.split(" | ") for name, cells in rows if name in _BY_NAME}
    assert shown == {
        feature.name: [_cell(feature, strategy) for strategy in STRATEGIES] for feature in FEATURES
    }
