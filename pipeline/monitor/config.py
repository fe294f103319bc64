"""The `monitor` part of a run's configuration."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class MonitorConfig(BaseModel):
    """Where the figures of the last run are left for a monitoring system."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    prometheus: str | None = Field(
        None,
        pattern=r"\.prom$",
        description="file for the textfile collector of Prometheus' node_exporter; null: none",
    )
