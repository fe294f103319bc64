"""`task` and `train`: what to learn, and how."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from trainer_module.config.callbacks import CallbacksConfig, DebugConfig
from trainer_module.config.input import InputConfig
from trainer_module.config.optimizer import (
    ClipConfig,
    EmaConfig,
    NamedConfig,
    OptimizerConfig,
    PlateauConfig,
    RegularizationConfig,
    ScheduleConfig,
)
from trainer_module.config.section import Section

CLUSTER_STRATEGIES = ("multi_worker", "parameter_server")


class TaskConfig(Section):
    """What to learn: a short name (`digits`) or the dotted path of a `Task` class."""

    name: str = Field(min_length=1)
    options: dict[str, Any] = Field(
        default_factory=dict, description="keyword arguments of the task's class"
    )


class BestConfig(Section):
    """Which epoch is exported: the one whose eval metric is best."""

    metric: str = "loss"
    mode: Literal["min", "max"] = "min"


class CheckpointConfig(Section):
    """When the training is saved, and how many of its checkpoints stay."""

    every_steps: int | None = Field(
        None, gt=0, description="besides the one that ends each epoch, at the next call's end"
    )
    keep: int = Field(2, gt=0, description="the newest ones; two or more survive a damaged one")


class DevicesConfig(Section):
    """What of the machine TensorFlow takes."""

    memory_growth: bool = Field(True, description="GPU memory as it is needed, not all at once")
    memory_limit_mb: int | None = Field(None, gt=0, description="of each GPU")
    logical: int | None = Field(
        None, gt=0, description="logical devices that each GPU, or the CPU, is divided into"
    )


class TrainConfig(Section):
    """How to learn it."""

    epochs: int = Field(gt=0)
    batch_size: int = Field(gt=0, description="global: rows a step sees over all replicas")
    eval_batch_size: int = Field(512, gt=0, description="global")
    seed: int = Field(0, ge=0, lt=2**31)
    strategy: Literal["default", "mirrored", "multi_worker", "parameter_server", "tpu"] = "default"
    replicas: int | None = Field(
        None,
        gt=0,
        description="mirrored only; null: every GPU, or one CPU; logical CPUs stand in for GPUs",
    )
    local_workers: int | None = Field(
        None,
        gt=0,
        description="multi_worker and parameter_server: processes to start on this machine; "
        "null: this process is one of a cluster that TF_CONFIG describes",
    )
    parameter_servers: int = Field(
        1, gt=0, description="parameter_server with local_workers: processes that hold variables"
    )
    stall_seconds: float = Field(
        300.0,
        gt=0,
        description="multi_worker and parameter_server: a process none of whose calls ends for so "
        "long ends itself; three times that before the first call, which traces and connects",
    )
    devices: DevicesConfig = DevicesConfig()
    steps_per_call: Any = Field(
        10, description="steps inside one tf.function call; auto: chosen by measuring"
    )
    accumulate: int = Field(
        1, gt=0, description="parts that a replica's batch is computed in, for less memory"
    )
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = "float32"
    xla: bool = Field(False, description="compile forward and backward with XLA")
    checkpoint: CheckpointConfig = CheckpointConfig()
    best: BestConfig = BestConfig()
    warm_start: bool = Field(False, description="begin with the last blessed model's weights")
    input: InputConfig = InputConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    plateau: PlateauConfig | None = None
    clip: ClipConfig | None = ClipConfig()
    gradient_transforms: list[NamedConfig] = Field(
        default_factory=list, description="in this order, before clipping"
    )
    ema: EmaConfig | None = None
    regularization: list[RegularizationConfig] = Field(default_factory=list)
    losses: dict[str, str] = Field(
        default_factory=dict, description="by head: a loss by name or dotted path"
    )
    metrics: dict[str, list[str]] = Field(
        default_factory=dict, description="by head: metrics by name, besides the task's own"
    )
    class_weights: dict[str, dict[int, Annotated[float, Field(ge=0)]]] = Field(
        default_factory=dict, description="by head: weight of a row in training by its class"
    )
    example_weight: str | None = Field(
        None, description="transformed feature that weighs each row's losses"
    )
    callbacks: CallbacksConfig = CallbacksConfig()
    debug: DebugConfig = DebugConfig()

    @field_validator("steps_per_call")
    @classmethod
    def _a_number_or_auto(cls, value: Any) -> int | str:
        if value == "auto" or (type(value) is int and value > 0):
            return value
        raise ValueError("allowed: an integer of at least 1, or 'auto'")

    @field_validator("class_weights", mode="before")
    @classmethod
    def _classes_are_integers(cls, value: Any) -> Any:
        """Takes the classes as YAML gives them, or as JSON does, where every key is a text."""
        if not isinstance(value, dict):
            return value
        return {
            head: {
                int(key) if isinstance(key, str) and key.isdecimal() else key: weight
                for key, weight in weights.items()
            }
            if isinstance(weights, dict)
            else weights
            for head, weights in value.items()
        }

    @model_validator(mode="after")
    def _strategy_can_do_it(self) -> TrainConfig:
        for key, refused, why in (
            *self._stray_keys(),
            *self._beyond_the_strategy(),
            *self._sizes(),
        ):
            if refused:
                raise ValueError(f"{key}: {why}")
        return self

    def _stray_keys(self) -> list[tuple[str, bool, str]]:
        """Keys that would be ignored where they stand."""
        return [
            (
                "replicas",
                self.replicas is not None and self.strategy != "mirrored",
                f"found {self.replicas} with strategy {self.strategy!r}; "
                "allowed: null, or strategy 'mirrored'",
            ),
            (
                "local_workers",
                self.local_workers is not None and self.strategy not in CLUSTER_STRATEGIES,
                f"found {self.local_workers} with strategy {self.strategy!r}; "
                "allowed: null, or strategy 'multi_worker' or 'parameter_server'",
            ),
            (
                "parameter_servers",
                self.parameter_servers != 1
                and not (self.strategy == "parameter_server" and self.local_workers),
                f"found {self.parameter_servers} with strategy {self.strategy!r}; "
                "allowed: 1, or strategy 'parameter_server' with local_workers",
            ),
        ]

    def _beyond_the_strategy(self) -> list[tuple[str, bool, str]]:
        """What a strategy cannot do, with the reason."""
        ps, tpu = self.strategy == "parameter_server", self.strategy == "tpu"
        return [
            (
                "precision",
                ps and self.precision == "mixed_float16",
                "found 'mixed_float16' with strategy 'parameter_server'; allowed: 'float32' or "
                "'mixed_bfloat16', since workers that do not wait for each other cannot agree on "
                "a loss scale",
            ),
            (
                "precision",
                tpu and self.precision == "mixed_float16",
                "found 'mixed_float16' with strategy 'tpu'; allowed: 'float32' or "
                "'mixed_bfloat16', the 16 bits that a TPU computes in",
            ),
            (
                "xla",
                ps and self.xla,
                "found true with strategy 'parameter_server'; allowed: false, since compiled code "
                "cannot read variables of another machine",
            ),
            (
                "debug.eager",
                self.debug.eager and self.strategy not in ("default", "mirrored"),
                f"found true with strategy {self.strategy!r}; allowed: false, or strategy "
                "'default' or 'mirrored', where one process holds all",
            ),
            (
                "debug.layer_report",
                ps and self.debug.layer_report,
                "found true with strategy 'parameter_server'; allowed: false, since a worker's "
                "updates mix with the others'",
            ),
            (
                "callbacks.tensorboard.histograms",
                ps and self.callbacks.tensorboard.histograms,
                "found true with strategy 'parameter_server'; allowed: false, since there is no "
                "last gradient where several workers take steps at once",
            ),
            (
                "input.cache",
                ps and self.input.cache == "file",
                "found 'file' with strategy 'parameter_server'; allowed: 'memory' or 'auto', which "
                "the workers get a copy of, or 'none', where they read the examples themselves",
            ),
            (
                "debug.deterministic",
                ps and self.debug.deterministic,
                "found true with strategy 'parameter_server'; allowed: false, since the order in "
                "which workers update the variables is not determined",
            ),
            (
                "steps_per_call",
                ps and self.steps_per_call == "auto",
                "found 'auto' with strategy 'parameter_server'; allowed: a number, since calls "
                "run on workers that do not wait for each other",
            ),
        ]

    def _sizes(self) -> list[tuple[str, bool, str]]:
        """Batches that do not divide."""
        parts = (
            self.replicas or (self.local_workers if self.strategy == "multi_worker" else None) or 1
        )
        return [
            (
                "batch_size",
                self.batch_size % (parts * self.accumulate) != 0,
                f"found {self.batch_size}; allowed: a multiple of "
                + (f"replicas x accumulate ({parts} x {self.accumulate})"),
            ),
            (
                "eval_batch_size",
                self.eval_batch_size % parts != 0,
                f"found {self.eval_batch_size}; allowed: a multiple of replicas ({parts})",
            ),
        ]


class TrainerSettings(Section):
    """All that one training needs besides its data; the Trainer's `custom_config`."""

    task: TaskConfig
    train: TrainConfig
    label: str = Field(description="the raw feature that is the label, absent when serving")
    code: str = Field(description="hash of the source that trains; part of the checkpoint key")
    checkpoint_root: str
