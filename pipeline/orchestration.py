"""The `orchestration` part of a run's configuration: what schedulers are told of a pipeline."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from pipeline.runners.airflow.config import AirflowConfig
from pipeline.runners.kubeflow.config import KubeflowConfig


class OrchestrationConfig(BaseModel):
    """One section a scheduler; `tapeline run` heeds none of them."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    airflow: AirflowConfig = AirflowConfig()
    kubeflow: KubeflowConfig = KubeflowConfig()
