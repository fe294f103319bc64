"""What the training section of a configuration holds, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from trainer_module.config import (
    BestConfig,
    CallbacksConfig,
    DebugConfig,
    GroupConfig,
    OptimizerConfig,
    ScheduleConfig,
    TaskConfig,
    TensorBoardConfig,
    TrainConfig,
    TrainerSettings,
)

VALID = {"epochs": 1, "batch_size": 32}
PS = {"strategy": "parameter_server"}


def refusal(section: type, **fields: Any) -> tuple[str, str]:
    """Returns the place and the message of the first refusal."""
    with pytest.raises(ValidationError) as caught:
        section(**fields)
    first = caught.value.errors()[0]
    return ".".join(map(str, first["loc"])), first["msg"].removeprefix("Value error, ")


def test_train_config_when_only_the_needed_is_given_then_the_rest_has_defaults():
    config = TrainConfig(**VALID)
    assert (config.strategy, config.replicas, config.seed) == ("default", None, 0)
    assert (config.best.metric, config.best.mode) == ("loss", "min")
    assert (config.clip.by, config.clip.at) == ("global_norm", 1.0)
    assert (config.optimizer.name, config.schedule.kind) == ("adamw", "cosine")
    assert (config.steps_per_call, config.accumulate, config.precision) == (10, 1, "float32")


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": 0},
        {"batch_size": 0},
        {"eval_batch_size": 0},
        {"accumulate": 0},
        {"replicas": 0},
        {"local_workers": 0},
        {"seed": -1},
        {"seed": 2**31},
        {"strategy": "horovod"},
        {"precision": "float16"},
        {"epochs": "3"},
        {"epoch": 3},
        {"xla": 1},
    ],
    ids=str,
)
def test_train_config_when_a_value_is_not_allowed_then_names_its_key(change):
    assert refusal(TrainConfig, **(VALID | change))[0] == next(iter(change))


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"optimizer": {"learning_rate": 0.0}}, "optimizer.learning_rate"),
        ({"optimizer": {"learning_rate": float("nan")}}, "optimizer.learning_rate"),
        ({"optimizer": {"learning_rate": float("inf")}}, "optimizer.learning_rate"),
        ({"optimizer": {"name": "lamb"}}, "optimizer.name"),
        ({"optimizer": {"weight_decay": -0.1}}, "optimizer.weight_decay"),
        ({"optimizer": {"momentum": 1.0}}, "optimizer.momentum"),
        ({"optimizer": {"beta_1": 1.0}}, "optimizer.beta_1"),
        ({"optimizer": {"beta_2": -0.1}}, "optimizer.beta_2"),
        ({"optimizer": {"rho": 1.0}}, "optimizer.rho"),
        ({"optimizer": {"epsilon": 0.0}}, "optimizer.epsilon"),
        ({"optimizer": {"groups": [{"pattern": ""}]}}, "optimizer.groups.0.pattern"),
        ({"optimizer": {"groups": [{}]}}, "optimizer.groups.0.pattern"),
        ({"schedule": {"kind": "linear"}}, "schedule.kind"),
        ({"schedule": {"warmup_epochs": -1.0}}, "schedule.warmup_epochs"),
        ({"schedule": {"final_fraction": 1.5}}, "schedule.final_fraction"),
        ({"schedule": {"decay_rate": 0.0}}, "schedule.decay_rate"),
        ({"schedule": {"decay_epochs": 0.0}}, "schedule.decay_epochs"),
        ({"plateau": {"factor": 1.0}}, "plateau.factor"),
        ({"plateau": {"patience": 0}}, "plateau.patience"),
        ({"plateau": {"min_factor": 0.0}}, "plateau.min_factor"),
        ({"clip": {"at": 0.0}}, "clip.at"),
        ({"clip": {"by": "layer"}}, "clip.by"),
        ({"ema": {"momentum": 1.0}}, "ema.momentum"),
        ({"regularization": [{"l2": -1.0}]}, "regularization.0.l2"),
        ({"gradient_transforms": [{"name": ""}]}, "gradient_transforms.0.name"),
        ({"checkpoint": {"keep": 0}}, "checkpoint.keep"),
        ({"checkpoint": {"every_steps": 0}}, "checkpoint.every_steps"),
        ({"devices": {"memory_limit_mb": 0}}, "devices.memory_limit_mb"),
        ({"devices": {"logical": 0}}, "devices.logical"),
        ({"class_weights": {"class": {3: -1.0}}}, "class_weights.class.3"),
        ({"class_weights": {"class": {"three": 1.0}}}, "class_weights.class.three.[key]"),
        ({"callbacks": {"early_stop": {"patience": 0}}}, "callbacks.early_stop.patience"),
        ({"callbacks": {"stop_on_explosion": {}}}, "callbacks.stop_on_explosion.above"),
        ({"callbacks": {"time_budget_minutes": 0.0}}, "callbacks.time_budget_minutes"),
        ({"callbacks": {"tensorboard": {"images": 65}}}, "callbacks.tensorboard.images"),
        ({"callbacks": {"tensorboard": {"profile": [1]}}}, "callbacks.tensorboard.profile"),
        ({"debug": {"overfit_batches": 0}}, "debug.overfit_batches"),
    ],
    ids=str,
)
def test_section_when_a_value_is_not_allowed_then_names_its_key(change, place):
    assert refusal(TrainConfig, **(VALID | change))[0] == place


@pytest.mark.parametrize("value", [0, -1, 2.0, True, "fast", None, [10]])
def test_steps_per_call_when_neither_a_number_nor_auto_then_says_what_is_allowed(value):
    assert refusal(TrainConfig, **VALID, steps_per_call=value) == (
        "steps_per_call",
        "allowed: an integer of at least 1, or 'auto'",
    )


@pytest.mark.parametrize("value", [1, 50, "auto"])
def test_steps_per_call_when_a_number_or_auto_then_is_taken(value):
    assert TrainConfig(**VALID, steps_per_call=value).steps_per_call == value


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"replicas": 2},
            "replicas: found 2 with strategy 'default'; allowed: null, or strategy 'mirrored'",
        ),
        (
            {"local_workers": 2, "strategy": "mirrored"},
            "local_workers: found 2 with strategy 'mirrored'; allowed: null, or strategy "
            "'multi_worker' or 'parameter_server'",
        ),
        (
            PS | {"precision": "mixed_float16"},
            "precision: found 'mixed_float16' with strategy 'parameter_server'; allowed: "
            "'float32' or 'mixed_bfloat16', since workers that do not wait for each other "
            "cannot agree on a loss scale",
        ),
        (
            {"strategy": "tpu", "precision": "mixed_float16"},
            "precision: found 'mixed_float16' with strategy 'tpu'; allowed: 'float32' or "
            "'mixed_bfloat16', the 16 bits that a TPU computes in",
        ),
        (
            PS | {"xla": True},
            "xla: found true with strategy 'parameter_server'; allowed: false, since compiled "
            "code cannot read variables of another machine",
        ),
        *(
            (
                {"strategy": strategy, "debug": {"eager": True}},
                f"debug.eager: found true with strategy {strategy!r}; allowed: false, or "
                "strategy 'default' or 'mirrored', where one process holds all",
            )
            for strategy in ("multi_worker", "parameter_server", "tpu")
        ),
        (
            PS | {"debug": {"layer_report": True}},
            "debug.layer_report: found true with strategy 'parameter_server'; allowed: false, "
            "since a worker's updates mix with the others'",
        ),
        (
            PS | {"steps_per_call": "auto"},
            "steps_per_call: found 'auto' with strategy 'parameter_server'; allowed: a number, "
            "since calls run on workers that do not wait for each other",
        ),
        (
            {"batch_size": 33, "strategy": "mirrored", "replicas": 2},
            "batch_size: found 33; allowed: a multiple of replicas x accumulate (2 x 1)",
        ),
        (
            {"batch_size": 34, "accumulate": 2, "strategy": "multi_worker", "local_workers": 2},
            "batch_size: found 34; allowed: a multiple of replicas x accumulate (2 x 2)",
        ),
        (
            {"accumulate": 3},
            "batch_size: found 32; allowed: a multiple of replicas x accumulate (1 x 3)",
        ),
        (
            {"eval_batch_size": 33, "strategy": "mirrored", "replicas": 2},
            "eval_batch_size: found 33; allowed: a multiple of replicas (2)",
        ),
    ],
)
def test_train_config_when_keys_do_not_go_together_then_says_what_is_allowed(change, message):
    assert refusal(TrainConfig, **(VALID | change)) == ("", message)


@pytest.mark.parametrize(
    "change",
    [
        {"strategy": "mirrored", "replicas": 2, "debug": {"eager": True}, "xla": True},
        {"strategy": "multi_worker", "local_workers": 2, "precision": "mixed_float16"},
        PS | {"local_workers": 3, "precision": "mixed_bfloat16", "accumulate": 4},
        {"strategy": "tpu", "precision": "mixed_bfloat16", "xla": True},
    ],
    ids=str,
)
def test_train_config_when_a_strategy_can_do_it_then_it_is_taken(change):
    assert TrainConfig(**(VALID | change)).strategy == change["strategy"]


@pytest.mark.parametrize(
    ("section", "fields", "message"),
    [
        (
            ScheduleConfig,
            {"kind": "piecewise"},
            "boundaries: found none; allowed: one epoch or more under 'piecewise'",
        ),
        (
            ScheduleConfig,
            {"boundaries": [1.0], "factors": [0.1]},
            "boundaries: found [1.0] with kind 'cosine'; allowed: none, or kind 'piecewise'",
        ),
        (
            ScheduleConfig,
            {"kind": "piecewise", "boundaries": [1.0, 2.0], "factors": [0.1]},
            "factors: found 1; allowed: one a boundary (2)",
        ),
        (
            ScheduleConfig,
            {"kind": "piecewise", "boundaries": [2.0, 2.0], "factors": [0.1, 0.2]},
            "boundaries: found [2.0, 2.0]; allowed: increasing epochs",
        ),
        (
            ScheduleConfig,
            {"kind": "piecewise", "boundaries": [2.0], "factors": [-0.1]},
            "factors: found [-0.1]; allowed: at least 0",
        ),
        (
            OptimizerConfig,
            {"name": "adam", "momentum": 0.95},
            "momentum: found 0.95 with name 'adam'; allowed: null, or name 'sgd' or 'rmsprop'",
        ),
        (
            OptimizerConfig,
            {"momentum": 0.0},
            "momentum: found 0.0 with name 'adamw'; allowed: null, or name 'sgd' or 'rmsprop'",
        ),
        (
            OptimizerConfig,
            {"name": "rmsprop", "nesterov": True},
            "nesterov: found true with name 'rmsprop'; allowed: false, or name 'sgd'",
        ),
        (
            OptimizerConfig,
            {"name": "sgd", "beta_1": 0.8},
            "beta_1: found 0.8 with name 'sgd'; allowed: 0.9, or name 'adam' or 'adamw'",
        ),
        (
            OptimizerConfig,
            {"name": "rmsprop", "beta_2": 0.9},
            "beta_2: found 0.9 with name 'rmsprop'; allowed: 0.999, or name 'adam' or 'adamw'",
        ),
        (
            OptimizerConfig,
            {"name": "adamw", "rho": 0.8},
            "rho: found 0.8 with name 'adamw'; allowed: 0.9, or name 'rmsprop'",
        ),
        (
            OptimizerConfig,
            {"name": "sgd", "epsilon": 0.1},
            "epsilon: found 0.1 with name 'sgd'; "
            "allowed: 1e-07, or name 'adam' or 'adamw' or 'rmsprop'",
        ),
        (
            TensorBoardConfig,
            {"profile": [5, 5]},
            "profile: found [5, 5]; allowed: two steps, the first one lower",
        ),
        (
            TensorBoardConfig,
            {"profile": [-1, 5]},
            "profile: found [-1, 5]; allowed: two steps, the first one lower",
        ),
        (
            DebugConfig,
            {"fast_dev_run": True, "overfit_batches": 2},
            "overfit_batches: found 2 with fast_dev_run; allowed: one of the two",
        ),
    ],
)
def test_section_when_keys_do_not_go_together_then_says_what_is_allowed(section, fields, message):
    assert refusal(section, **fields) == ("", message)


def test_group_when_the_pattern_is_no_regular_expression_then_says_why():
    place, message = refusal(GroupConfig, pattern="conv(")
    assert place == "pattern"
    assert message.startswith("allowed: a regular expression (")


@pytest.mark.parametrize(
    ("name", "decay", "momentum"),
    [("adamw", 1e-4, 0.0), ("adam", 0.0, 0.0), ("sgd", 0.0, 0.9), ("rmsprop", 0.0, 0.0)],
)
def test_optimizer_when_decay_and_momentum_are_null_then_has_those_of_the_rule(
    name, decay, momentum
):
    config = OptimizerConfig(name=name)
    assert (config.decay, config.inertia) == (decay, momentum)
    assert OptimizerConfig(name=name, weight_decay=0.5).decay == 0.5


@pytest.mark.parametrize("name", ["sgd", "rmsprop"])
def test_optimizer_when_momentum_is_given_then_has_it(name):
    assert OptimizerConfig(name=name, momentum=0.5).inertia == 0.5


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd", "rmsprop"])
def test_optimizer_when_written_out_with_all_keys_then_is_read_again(name):
    config = OptimizerConfig(name=name)
    assert OptimizerConfig.model_validate(config.model_dump()) == config


def test_class_weights_when_classes_are_texts_then_are_numbers_again():
    config = TrainConfig(**VALID, class_weights={"class": {"3": 2.0, 4: 0.5}})
    assert config.class_weights == {"class": {3: 2.0, 4: 0.5}}


def test_train_config_when_it_goes_through_json_then_comes_back_the_same():
    settings = TrainerSettings(
        task=TaskConfig(name="digits", options={"filters": 4}),
        train=TrainConfig(
            **VALID,
            steps_per_call="auto",
            class_weights={"class": {3: 2.0, 0: 0.25}},
            schedule=ScheduleConfig(kind="piecewise", boundaries=[1.0], factors=[0.1]),
            optimizer=OptimizerConfig(groups=[GroupConfig(pattern="conv", frozen=True)]),
            callbacks=CallbacksConfig(tensorboard=TensorBoardConfig(profile=[2, 4])),
            clip=None,
        ),
        label="digit",
        code="abc",
        checkpoint_root="/checkpoints",
    )
    assert TrainerSettings.model_validate_json(settings.model_dump_json()) == settings
    assert TrainerSettings.model_validate(settings.model_dump(mode="json")) == settings


def test_sections_when_made_then_cannot_be_changed():
    for section, name in (
        (TrainConfig(**VALID), "epochs"),
        (BestConfig(), "mode"),
        (TaskConfig(name="digits"), "name"),
        (OptimizerConfig(), "learning_rate"),
    ):
        with pytest.raises(ValidationError, match="frozen"):
            setattr(section, name, getattr(section, name))
