"""The `orchestration.airflow` part of a run's configuration."""

from __future__ import annotations

import datetime
import zoneinfo
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from pipeline.runners.airflow.schedule import PRESETS, cron_fault


def _schedule(text: str) -> str:
    fault = cron_fault(text)
    if fault is not None:
        raise ValueError(
            f"{', '.join(PRESETS)}, or five fields of cron such as '0 3 * * *' ({fault})"
        )
    return text


def _date(value: Any) -> Any:
    """Returns the date of a text; YAML as configurations are written in it has none."""
    if value is None or isinstance(value, datetime.date):
        return value
    try:
        return datetime.date.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise ValueError("a date such as 2026-11-28") from error


def _timezone(name: str) -> str:
    if name not in zoneinfo.available_timezones():
        raise ValueError("UTC, or a name of the tz database such as Europe/Berlin")
    return name


Seconds = Annotated[float, Field(gt=0)]
Name = Annotated[str, Field(min_length=1, max_length=100)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class AirflowNodeConfig(_Section):
    """What is other for one node; null: as for all."""

    retries: int | None = Field(None, ge=0)
    retry_delay: Seconds | None = None
    max_retry_delay: Seconds | None = None
    execution_timeout: Seconds | None = None
    pool: Name | None = None
    queue: Name | None = None


class AirflowConfig(_Section):
    """What Airflow is told of a pipeline, by Airflow's own names; durations in seconds."""

    schedule: Annotated[str, AfterValidator(_schedule)] | None = Field(
        None, description="cron text or preset; null: runs are started by hand"
    )
    timezone: Annotated[str, AfterValidator(_timezone)] = Field(
        "UTC", description="of the schedule, and of the date that is the span"
    )
    start_date: Annotated[datetime.date, BeforeValidator(_date)] | None = Field(
        None, description="when the first interval begins; null: long ago"
    )
    catchup: bool = Field(False, description="run for the intervals since start_date too")
    span: Literal["latest", "interval"] = Field(
        "latest", description="interval: the date at which the run's data interval begins"
    )
    retries: int = Field(2, ge=0)
    retry_delay: Seconds = Field(300.0, description="before the first retry")
    retry_exponential_backoff: bool = Field(True, description="each delay twice the one before")
    max_retry_delay: Seconds = 3600.0
    execution_timeout: Seconds | None = Field(
        None, description="after which an attempt of a node is stopped and counts as failed"
    )
    pool: Name | None = Field(None, description="null: Airflow's default_pool")
    queue: Name | None = Field(None, description="of the Celery executor; null: the default")
    tags: list[Name] = ["tapeline"]
    owner: Name = "tapeline"
    sla: Seconds | None = Field(
        None, description="from the scheduled time to the end of the run; a miss is told"
    )
    on_failure: list[Annotated[str, Field(min_length=1)]] | None = Field(
        None, min_length=1, description="program and arguments; gets what happened as JSON on stdin"
    )
    nodes: dict[str, AirflowNodeConfig] = Field(
        default_factory=dict, description="what is other for a node, by its name"
    )

    @model_validator(mode="after")
    def _dates_and_delays_go_together(self) -> AirflowConfig:
        if self.catchup and self.start_date is None:
            raise ValueError(
                "start_date: found null with catchup; allowed: the date of the first interval"
            )
        for key, value in (("catchup", self.catchup), ("sla", self.sla)):
            if value and self.schedule is None:
                raise ValueError(f"{key}: found {value} without a schedule; allowed: a schedule")
        sections = {f"nodes.{name}.": section for name, section in self.nodes.items()}
        for prefix, section in {"": AirflowNodeConfig(), **sections}.items():
            longest = section.max_retry_delay or self.max_retry_delay
            first = section.retry_delay or self.retry_delay
            if longest < first:
                raise ValueError(
                    f"{prefix}max_retry_delay: found {longest:g}; allowed: at least retry_delay, "
                    f"{first:g}"
                )
        return self
