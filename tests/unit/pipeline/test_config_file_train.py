"""What a user reads when the `train` section of a configuration file is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.config_file import ConfigError, load_config


@pytest.fixture
def path(write_config) -> Path:
    return write_config()


@pytest.mark.parametrize(
    ("override", "key", "rest"),
    [
        (
            "train.steps_per_call=0",
            "train.steps_per_call",
            "found 0; allowed: an integer of at least 1, or 'auto'",
        ),
        (
            "train.steps_per_call=fast",
            "train.steps_per_call",
            "found 'fast'; allowed: an integer of at least 1, or 'auto'",
        ),
        (
            "train.precision=fp16",
            "train.precision",
            "found 'fp16'; allowed: 'float32', 'mixed_float16' or 'mixed_bfloat16'",
        ),
        (
            "train.class_weights={class: {three: 2}}",
            "train.class_weights.class.three",
            "found the key 'three'; allowed: an integer",
        ),
        (
            "train.class_weights={class: {3: -1}}",
            "train.class_weights.class.3",
            "found -1; allowed: a number of at least 0.0",
        ),
        ("train.class_weights=4", "train.class_weights", "found 4; allowed: keys and values"),
        (
            "train.class_weights={class: 3}",
            "train.class_weights.class",
            "found 3; allowed: keys and values",
        ),
        (
            "train.callbacks.tensorboard.profile=[1, 2, 3]",
            "train.callbacks.tensorboard.profile",
            "found [1, 2, 3]; allowed: a list of at most 2",
        ),
        (
            "train.optimizer.groups=[{pattern: (}]",
            "train.optimizer.groups.0.pattern",
            "found '('; allowed: a regular expression "
            "(missing ), unterminated subpattern at position 0)",
        ),
        (
            "train.schedule.boundaries=[1.5]",
            "train.schedule.boundaries",
            "found [1.5] with kind 'cosine'; allowed: none, or kind 'piecewise'",
        ),
        (
            "train.debug={fast_dev_run: true, overfit_batches: 2}",
            "train.debug.overfit_batches",
            "found 2 with fast_dev_run; allowed: one of the two",
        ),
        (
            "train.replicas=3",
            "train.replicas",
            "found 3 with strategy 'default'; allowed: null, or strategy 'mirrored'",
        ),
        ("train.metrics={class: top_5}", "train.metrics.class", "found 'top_5'; allowed: a list"),
        ("train.ema=5", "train.ema", "found 5; allowed: keys and values"),
    ],
)
def test_load_when_a_training_key_is_wrong_then_says_what_is_allowed(path, override, key, rest):
    with pytest.raises(ConfigError) as caught:
        load_config(str(path), [override])
    assert str(caught.value) == f"--set {override}: {key}: {rest}"


@pytest.mark.parametrize(
    ("override", "key", "hint"),
    [
        ("train.schedul.kind=cosine", "train.schedul", "did you mean schedule? known keys: epochs"),
        (
            "train.callbacks.early_stop.metrik=loss",
            "train.callbacks.early_stop.metrik",
            "did you mean metric? known keys: metric, mode, patience, min_delta",
        ),
        ("train.clip.norm=1", "train.clip.norm", "known keys: by, at"),
        (
            "train.optimizer.groups=[{pattern: conv, freeze: true}]",
            "train.optimizer.groups.0.freeze",
            "did you mean frozen? known keys: pattern, learning_rate_factor, weight_decay, frozen",
        ),
    ],
)
def test_load_when_a_training_key_does_not_exist_then_names_the_nearest(path, override, key, hint):
    with pytest.raises(ConfigError) as caught:
        load_config(str(path), [override])
    start = f"--set {override}: {key}: found a key that does not exist; allowed: {hint}"
    assert str(caught.value).startswith(start)


def test_load_when_classes_are_weighed_then_yaml_gives_the_classes_as_numbers(path):
    config = load_config(str(path), ["train.class_weights={class: {3: 2, '4': 0.5}}"])
    assert config.train.class_weights == {"class": {3: 2.0, 4: 0.5}}


def test_load_when_a_section_is_null_then_it_is_off(path):
    assert load_config(str(path), ["train.clip=null"]).train.clip is None
