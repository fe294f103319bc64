"""RunConfig: where things go by default, and the rules over several keys."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from components.evaluator.config import EvaluateConfig, MetricConfig
from pipeline.config_file import ConfigError, load_config


@pytest.fixture
def load(write_config, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    return lambda *overrides: load_config(str(write_config()), overrides)


def test_folders_when_only_the_root_is_given_then_all_is_under_it(load, tmp_path) -> None:
    config = load("root=out", "name=mine")

    assert config.pipeline_root == tmp_path / "out" / "mine"
    assert config.serving_root == tmp_path / "out" / "mine" / "serving"
    assert config.model_name == "mine"
    assert config.model_folder == tmp_path / "out" / "mine" / "serving" / "mine"


def test_folders_when_serving_has_its_own_root_and_name_then_they_count(load) -> None:
    config = load("serve.root=/srv/models", "serve.model_name=best")

    assert config.serving_root == Path("/srv/models")
    assert config.model_folder == Path("/srv/models/best")


@pytest.mark.parametrize("name", ["", "-a", "A", "a/b", "../a", "a" * 64])
def test_name_when_it_would_not_do_as_a_folder_then_refused(name, load) -> None:
    with pytest.raises(ConfigError, match=r"name: found .* allowed: a text that matches"):
        load(f"name='{name}'")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"evaluate.slices": []},
            "evaluate.slices: found none; allowed: a feature, since slice_at_least is set",
        ),
        (
            {"evaluate.metrics": [{"name": "mse", "head": "attribute", "at_most": 1}] * 2},
            "evaluate.metrics: found [('mse', 'attribute')] twice; allowed: each metric once",
        ),
        (
            {"train.replicas": 2},
            "train.replicas: found 2 with strategy 'default'; allowed: null, or strategy "
            "'mirrored'",
        ),
        (
            {"train.replicas": 3, "train.strategy": "mirrored"},
            "train.batch_size: found 64; allowed: a multiple of replicas x accumulate (3 x 1)",
        ),
    ],
)
def test_config_when_two_keys_disagree_then_names_the_one_at_fault(
    changes, problem, write_config
) -> None:
    path = write_config(changes)
    with pytest.raises(ConfigError) as caught:
        load_config(str(path))
    assert [str(found) for found in caught.value.problems] == [f"{path}: {problem}"]


def test_config_when_set_makes_two_keys_disagree_then_names_the_set(load) -> None:
    with pytest.raises(ConfigError, match=r"^--set train.replicas=2: train.replicas: found 2 with"):
        load("train.replicas=2")


@pytest.mark.parametrize("bound", ["at_least", "at_most"])
def test_evaluate_when_one_metric_has_a_bound_then_that_is_enough(bound) -> None:
    evaluate = EvaluateConfig.model_validate(
        {"metrics": [{"name": "mse", "head": "a", bound: 1.0}, {"name": "mae", "head": "a"}]}
    )
    assert [metric.has_value_threshold for metric in evaluate.metrics] == [True, False]


@pytest.mark.parametrize(
    ("name", "higher"),
    [
        ("accuracy", True),
        ("auc", True),
        ("r2", True),
        ("mse", False),
        ("mae", False),
        ("frechet", False),
    ],
)
def test_metric_when_named_then_it_is_known_which_way_is_better(name, higher) -> None:
    assert MetricConfig(name=name, head="a").higher_is_better is higher


@pytest.mark.parametrize("name", ["mse", "mae"])
def test_evaluate_when_a_slice_has_a_lower_bound_on_an_error_then_refuses(name) -> None:
    metric = {"name": name, "head": "a", "at_most": 1.0, "slice_at_least": 0.5}
    with pytest.raises(ValidationError, match=rf"slice_at_least: found 0.5 on {name}"):
        EvaluateConfig.model_validate({"metrics": [metric], "slices": ["digit"]})
