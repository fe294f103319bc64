"""The parts of a run's configuration that the training loop reads."""

from trainer_module.config.callbacks import (
    CallbacksConfig,
    DebugConfig,
    EarlyStopConfig,
    ExplosionConfig,
    TensorBoardConfig,
)
from trainer_module.config.input import AugmentConfig, InputConfig
from trainer_module.config.optimizer import (
    ClipConfig,
    EmaConfig,
    GroupConfig,
    NamedConfig,
    OptimizerConfig,
    PlateauConfig,
    RegularizationConfig,
    ScheduleConfig,
)
from trainer_module.config.train import (
    CLUSTER_STRATEGIES,
    BestConfig,
    CheckpointConfig,
    DevicesConfig,
    TaskConfig,
    TrainConfig,
    TrainerSettings,
)

__all__ = [
    "CLUSTER_STRATEGIES",
    "AugmentConfig",
    "BestConfig",
    "CallbacksConfig",
    "CheckpointConfig",
    "ClipConfig",
    "DebugConfig",
    "DevicesConfig",
    "EarlyStopConfig",
    "EmaConfig",
    "ExplosionConfig",
    "GroupConfig",
    "InputConfig",
    "NamedConfig",
    "OptimizerConfig",
    "PlateauConfig",
    "RegularizationConfig",
    "ScheduleConfig",
    "TaskConfig",
    "TensorBoardConfig",
    "TrainConfig",
    "TrainerSettings",
]
