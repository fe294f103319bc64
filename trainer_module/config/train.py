"""The parts of a run's configuration that the training loop reads: `task` and `train`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from trainer_module.config.section import Section


class TaskConfig(Section):
    """What to learn: a short name (`digits`) or the dotted path of a `Task` class."""

    name: str = Field(min_length=1)
    options: dict[str, Any] = Field(
        default_factory=dict, description="keyword arguments of the task's class"
    )


class OptimizerConfig(Section):
    """AdamW under linear warmup and cosine decay, with gradients clipped by global norm."""

    learning_rate: float = Field(1e-3, gt=0, description="peak rate, reached after warmup")
    weight_decay: float = Field(1e-4, ge=0, description="decoupled; not on variables named bias")
    warmup_epochs: float = Field(1.0, ge=0)
    final_fraction: float = Field(
        0.01, ge=0, le=1, description="rate at the last step as a fraction of the peak"
    )
    clip_global_norm: float | None = Field(1.0, gt=0, description="null: no clipping")


class BestConfig(Section):
    """Which epoch is exported: the one whose eval metric is best."""

    metric: str = "loss"
    mode: Literal["min", "max"] = "min"


class TrainConfig(Section):
    """How to learn it."""

    epochs: int = Field(gt=0)
    batch_size: int = Field(gt=0, description="global: rows a step sees over all replicas")
    eval_batch_size: int = Field(512, gt=0, description="global")
    seed: int = Field(0, ge=0, lt=2**31)
    strategy: Literal["default", "mirrored"] = "default"
    replicas: int | None = Field(
        None,
        gt=0,
        description="mirrored only; null: every GPU, or one CPU; logical CPUs stand in for GPUs",
    )
    steps_per_call: int = Field(10, gt=0, description="steps inside one tf.function call")
    checkpoint_every_steps: int | None = Field(
        None, gt=0, description="besides the one that ends each epoch"
    )
    best: BestConfig = BestConfig()
    optimizer: OptimizerConfig = OptimizerConfig()

    @model_validator(mode="after")
    def _replicas_divide_the_batches(self) -> TrainConfig:
        if self.replicas and self.strategy != "mirrored":
            raise ValueError(
                f"replicas: found {self.replicas} with strategy {self.strategy!r}; "
                "allowed: null, or strategy 'mirrored'"
            )
        for name in ("batch_size", "eval_batch_size"):
            size = getattr(self, name)
            if self.replicas and size % self.replicas:
                raise ValueError(
                    f"{name}: found {size}; allowed: a multiple of replicas ({self.replicas})"
                )
        return self


class TrainerSettings(Section):
    """All that one training needs besides its data; the Trainer's `custom_config`."""

    task: TaskConfig
    train: TrainConfig
    label: str = Field(description="the raw feature that is the label, absent when serving")
    code: str = Field(description="hash of the source that trains; part of the checkpoint key")
    checkpoint_root: str
