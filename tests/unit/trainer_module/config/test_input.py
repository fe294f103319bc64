"""`train.input`: what it allows."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import ValidationError

from trainer_module.config.input import AugmentConfig, InputConfig


def test_input_when_nothing_is_given_then_keeps_rows_as_they_are_where_their_size_says():
    assert InputConfig() == InputConfig(cache="auto", augment=None)


@pytest.mark.parametrize(
    "values",
    [
        {"cache": "disk"},
        {"shuffle": 3},
        {"cache": "none", "shuffle_buffer": 0},
        {"cache": "none", "parallel_reads": "4"},
        {"augment": {"flip": "sideways"}},
        {"augment": {"rotation": 181}},
        {"augment": {"zoom": 1.0}},
        {"augment": {"translation": -0.1}},
        {"augment": {"contrast": float("nan")}},
        {"augment": {"feature": ""}},
        {"augment": {"shear": 0.1}},
    ],
)
def test_input_when_a_value_is_out_of_range_then_refuses(values):
    with pytest.raises(ValidationError):
        InputConfig.model_validate(values)


@pytest.mark.parametrize("name", ["shuffle_buffer", "parallel_reads"])
@pytest.mark.parametrize("cache", ["auto", "memory", "file"])
def test_input_when_a_key_of_a_stream_is_given_without_one_then_refuses(name, cache):
    assert getattr(InputConfig.model_validate({"cache": "none", name: 5}), name) == 5
    with pytest.raises(ValidationError, match=f"{name}: found 5 with cache '{cache}'; allowed"):
        InputConfig.model_validate({"cache": cache, name: 5})


def test_augment_when_ranges_are_at_their_bounds_then_allows_them():
    AugmentConfig(flip="both", rotation=180, zoom=0.99, translation=1, contrast=1)


def test_input_when_imported_then_tensorflow_is_not():
    code = "import sys, trainer_module.config.input; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
