"""The parts of a run's configuration that the training loop reads."""

from trainer_module.config.train import (
    BestConfig,
    OptimizerConfig,
    TaskConfig,
    TrainConfig,
    TrainerSettings,
)

__all__ = ["BestConfig", "OptimizerConfig", "TaskConfig", "TrainConfig", "TrainerSettings"]
