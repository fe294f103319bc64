"""RunConfig: all that a run is, in one frozen object made from one YAML file."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from components.anomaly_gate.config import ValidateConfig
from components.evaluator.config import EvaluateConfig
from components.example_gen.config import DataConfig
from components.schema_file.config import SchemaConfig
from pipeline.beam.config import BeamConfig, DirectConfig
from pipeline.metadata.config import MetadataConfig, SqliteConfig
from pipeline.monitor.config import MonitorConfig
from pipeline.orchestration import OrchestrationConfig
from serving.config import ServeConfig
from serving.lite.config import LiteConfig
from trainer_module.config import TaskConfig, TrainConfig

if TYPE_CHECKING:
    from trainer_module.tasks.base import Task


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class TransformConfig(_Section):
    """What Transform passes to the task's preprocessing_fn besides the features."""

    options: dict[str, Any] = Field(default_factory=dict)


# BaseModel has methods of these names, deprecated; the file's keys are what a user reads.
warnings.filterwarnings("ignore", 'Field name "(schema|validate)" in "RunConfig" shadows')


class RunConfig(_Section):
    """A run. Relative paths are relative to the working directory."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")
    root: str = Field("runs", min_length=1, description="everything a run writes is under here")
    cache: bool = Field(True, description="reuse the outputs of nodes whose inputs are unchanged")
    data: DataConfig
    schema: SchemaConfig = SchemaConfig()  # type: ignore[assignment]
    validate: ValidateConfig = ValidateConfig()  # type: ignore[assignment]
    task: TaskConfig
    transform: TransformConfig = TransformConfig()
    train: TrainConfig
    evaluate: EvaluateConfig
    serve: ServeConfig = ServeConfig()
    lite: LiteConfig | None = Field(None, description="null: no TF Lite variants are made")
    beam: BeamConfig = DirectConfig()
    metadata: MetadataConfig = SqliteConfig()
    orchestration: OrchestrationConfig = OrchestrationConfig()
    monitor: MonitorConfig = MonitorConfig()

    @property
    def pipeline_root(self) -> Path:
        """Folder of this pipeline: its runs, artifacts, checkpoints, metadata and models."""
        return Path(self.root).expanduser().resolve() / self.name

    @property
    def serving_root(self) -> Path:
        if self.serve.root is None:
            return self.pipeline_root / "serving"
        return Path(self.serve.root).expanduser().resolve()

    @property
    def model_name(self) -> str:
        return self.serve.model_name or self.name

    @property
    def model_folder(self) -> Path:
        """Folder of the version folders."""
        return self.serving_root / self.model_name

    def preprocessing_options(self, task: Task) -> dict[str, Any]:
        """Returns the options of the task's preprocessing_fn: its own, and `transform.options`."""
        return {**task.transform_options(), **self.transform.options}
