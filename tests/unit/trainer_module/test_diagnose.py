"""One step that is taken again by hand: which layer and tensor a bad number is traced to."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip

from trainer_module.config import TaskConfig, TrainConfig  # isort: skip
from trainer_module.numerics import Finding  # isort: skip
from trainer_module.numerics import snapshot as snapshots  # isort: skip
from trainer_module.numerics.replay import diagnose  # isort: skip
from trainer_module.state import build_state, seed_keras  # isort: skip
from trainer_module.tasks import make_task  # isort: skip

SMALL = {"filters": 4, "embedding": 8}
DIGITS = TaskConfig(name="digits", options=SMALL)
CONFIG: dict[str, Any] = {"epochs": 2, "batch_size": 32, "eval_batch_size": 150}


@dataclass
class Case:
    """A step at hand: what it depends on, to be changed and diagnosed."""

    origin: snapshots.Origin
    snapshot: snapshots.Snapshot
    batch: dict[str, np.ndarray]
    task: TaskConfig = DIGITS

    def diagnose(self, **keys: Any) -> Finding:
        config = TrainConfig.model_validate({**CONFIG, **keys})
        origin = dataclasses.replace(self.origin, config=config)
        return diagnose(make_task(self.task), origin, self.snapshot, self.batch)

    def with_weight(self, name: str, value: float) -> Case:
        (key,) = [key for key in self.snapshot.weights if key.endswith(name)]
        weights = {**self.snapshot.weights, key: np.full_like(self.snapshot.weights[key], value)}
        return dataclasses.replace(
            self, snapshot=dataclasses.replace(self.snapshot, weights=weights)
        )


@pytest.fixture
def case(train_rows) -> Case:
    config = TrainConfig.model_validate({**CONFIG, "optimizer": {"name": "sgd"}})
    seed_keras(0)
    task = make_task(DIGITS)
    snapshot = snapshots.take(build_state(task, {}, config))
    batch = {name: values[:32] for name, values in train_rows.items()}
    return Case(snapshots.Origin(DIGITS, config, {}, 10, 20), snapshot, batch)


SGD = {"optimizer": {"name": "sgd"}}


def _place(finding: Finding) -> tuple[str, str, str]:
    return finding.kind, finding.layer, finding.tensor


def test_diagnose_when_all_is_finite_then_says_so(case):
    finding = case.diagnose(**SGD)
    assert finding == Finding(0, "none")
    assert str(finding) == "step 0: every number of the step is finite"


def test_diagnose_when_the_weights_are_bad_already_then_blames_the_update_before(case):
    finding = case.with_weight("conv2/kernel", np.inf).diagnose(**SGD)
    assert _place(finding) == ("weights", "conv2", "conv2/kernel")
    assert "the update before it made them so" in str(finding)


def test_diagnose_when_a_layer_overflows_then_names_its_output(case):
    large = case.with_weight("embedding/bias", 1e3).with_weight("class/kernel", 1e38)
    assert _place(large.diagnose(**SGD)) == ("forward", "class", "output")


def test_diagnose_when_a_label_is_bad_then_names_the_loss_and_the_rows(case):
    case.batch["attribute"] = case.batch["attribute"].copy()
    case.batch["attribute"][[3, 5], 1] = np.nan
    finding = case.diagnose(**SGD)
    assert _place(finding) == ("loss", "loss attribute", "sum over the batch")
    assert finding.features == {"attribute": [3, 5]}
    assert "feature attribute of the batch is not finite in rows 3, 5" in str(finding)


def test_diagnose_when_a_penalty_overflows_then_names_the_penalties(case):
    finding = case.with_weight("embedding/kernel", 1e15).diagnose(
        regularization=[{"pattern": "embedding/kernel", "l2": 1e10}], **SGD
    )
    assert _place(finding) == ("loss", "loss", "penalties")


def test_diagnose_when_an_update_overflows_then_names_the_variable(case):
    finding = case.diagnose(
        optimizer={
            "name": "sgd",
            "learning_rate": 1e38,
            "groups": [{"pattern": "conv2/kernel", "learning_rate_factor": 1e10}],
        },
        schedule={"kind": "constant", "warmup_epochs": 0.0},
    )
    assert _place(finding) == ("update", "conv2", "value after the update of conv2/kernel")


def test_diagnose_when_the_norm_alone_overflows_then_names_the_largest_gradient(case):
    case.task = TaskConfig(name="digits", options={**SMALL, "attribute_weight": 1e30})
    finding = case.diagnose(**SGD)
    assert finding.kind == "gradient"
    assert finding.layer == "attribute"
    assert finding.tensor.startswith("the norm of all gradients overflows; the largest is that of")


def test_diagnose_when_a_loss_has_a_bad_gradient_then_names_the_layer_that_it_comes_into(
    case, tmp_path, monkeypatch
):
    (tmp_path / "rooted.py").write_text(
        "import tensorflow as tf\n"
        "def root(labels, predictions):\n"
        "    return tf.reduce_sum(tf.sqrt(tf.abs(predictions * 0.0)), axis=-1)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    finding = case.diagnose(losses={"attribute": "rooted.root"}, **SGD)
    assert _place(finding) == (
        "gradient",
        "attribute",
        "gradient of the loss with respect to its output",
    )


def test_diagnose_when_a_strategy_is_in_scope_then_does_without_it(case):
    strategy = tf.distribute.OneDeviceStrategy("/cpu:0")
    with strategy.scope():
        assert case.diagnose(**SGD).kind == "none"


def test_diagnose_when_done_then_functions_are_graphs_again(case):
    case.diagnose(**SGD)
    assert not tf.config.functions_run_eagerly()


def test_diagnose_when_a_class_does_not_take_its_options_then_the_error_comes_through(case):
    with pytest.raises(ValueError, match=re.escape("train.gradient_transforms.0.options")):
        case.diagnose(
            gradient_transforms=[
                {"name": "trainer_module.gradients.Noise", "options": {"size": 1}}
            ],
            **SGD,
        )
