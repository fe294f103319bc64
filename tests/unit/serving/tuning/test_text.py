"""What a person reads of a tuning."""

from __future__ import annotations

import pytest
import yaml

from serving.config import BatchingConfig
from serving.load import LoadResult
from serving.tuning.candidates import BatchCost
from serving.tuning.search import Trial
from serving.tuning.text import curve_lines, shortfall, trial_line, yaml_lines
from serving.tuning.tune import Goal, Proof

CONFIG = BatchingConfig(max_batch_size=32, allowed_batch_sizes=[1, 8, 32])


def trial(throughput, p99_ms, errors=()):
    return Trial(CONFIG, LoadResult(throughput, dict(errors), 1.0, p99_ms / 2, p99_ms, throughput))


def test_curve_is_a_table_with_a_line_for_each_size():
    lines = list(curve_lines([BatchCost(1, 0.25, 0.5), BatchCost(64, 2.0, 3.0)]))
    assert [line.split() for line in lines[1:]] == [
        ["1", "0.250", "0.500", "4,000"],
        ["64", "2.000", "3.000", "32,000"],
    ]
    assert len({len(line) for line in lines}) == 1


def test_trial_is_one_line_with_its_errors():
    line = trial_line("try", trial(1234, 45.67, {"UNAVAILABLE": 3, "INTERNAL": 1}.items()))
    assert line.startswith("try      batch   32  wait   1000 us  threads 2    1,234/s")
    assert line.endswith("p99   45.7 ms  errors: 1 INTERNAL, 3 UNAVAILABLE")


@pytest.mark.parametrize("options", [{}, {"pad_variable_length_inputs": True}], ids=["none", "one"])
def test_yaml_when_read_as_a_configuration_then_is_the_same_parameters(options):
    config = CONFIG.model_copy(update=options)
    section = yaml.safe_load("\n".join(yaml_lines(config)))["serve"]["batching"]
    assert BatchingConfig.model_validate(section) == config


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        (trial(900, 60.0), "give a p99 of 60.0 ms at 64 clients; wanted: 50 ms"),
        (trial(900, 40.0), "give 900 requests a second; TF Serving's defaults give 1,000"),
        (trial(900, 40.0, [("INTERNAL", 2)]), "lead to errors: {'INTERNAL': 2}"),
    ],
)
def test_shortfall_is_in_figures(chosen, said):
    assert said in shortfall(Proof(chosen, trial(1000, 10.0)), Goal(50.0, 64, 2))
