"""The `beam` part of a run's configuration: one section an engine."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

CLUSTER_FILE = "build/flink/cluster.json"

Address = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+:[0-9]{1,5}$")]
"""`host:port`."""

_GCS = r"^gs://[^/]+"


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class DirectConfig(_Section):
    """This machine, by Beam's own runner."""

    engine: Literal["direct"] = "direct"
    running_mode: Literal["auto", "in_memory", "multi_processing"] = Field(
        "auto", description="auto: by the size of the data; see `pipeline.beam.running_mode`"
    )
    workers: int | None = Field(
        None, gt=0, description="processes of multi_processing; null: one for each core"
    )

    @model_validator(mode="after")
    def _workers_are_processes(self) -> DirectConfig:
        if self.workers is not None and self.running_mode == "in_memory":
            raise ValueError(
                f"workers: found {self.workers}; allowed: null with in_memory, which is one process"
            )
        return self


class _PortableConfig(_Section):
    """An engine that takes jobs at an endpoint, and whose workers come from a pool."""

    environment: Address | None = None


class PortableConfig(_PortableConfig):
    """Beam's Python job service; with no addresses the run starts it and a pool itself."""

    engine: Literal["portable"]
    job_endpoint: Address | None = Field(
        None, description="of a job service; null: one is started on loopback and ended"
    )

    @model_validator(mode="after")
    def _addresses_come_together(self) -> PortableConfig:
        if (self.job_endpoint is None) != (self.environment is None):
            raise ValueError(
                f"environment: found {self.environment} with job_endpoint {self.job_endpoint}; "
                "allowed: both addresses, or both null for processes of the run's own"
            )
        return self


class FlinkConfig(_PortableConfig):
    """A Flink session cluster behind Beam's job server."""

    engine: Literal["flink"]
    cluster: str = Field(
        CLUSTER_FILE,
        min_length=1,
        description="what `make flink` wrote; the addresses that are null are taken from it",
    )
    job_endpoint: Address | None = Field(None, description="of Beam's job server")
    flink_master: Address | None = Field(None, description="of Flink's REST interface")
    parallelism: int = Field(2, gt=0, description="slots that each job takes")

    @model_validator(mode="after")
    def _addresses_come_together(self) -> FlinkConfig:
        given = [self.job_endpoint, self.flink_master, self.environment]
        if None in given and any(given):
            names = ("job_endpoint", "flink_master", "environment")
            missing = [name for name, value in zip(names, given, strict=True) if value is None]
            raise ValueError(
                f"{missing[0]}: found null beside another address; allowed: all three, or none for "
                "the cluster of `make flink`"
            )
        return self


class SparkConfig(_PortableConfig):
    """A Spark cluster behind Beam's job server."""

    engine: Literal["spark"]
    job_endpoint: Address = Field(description="of Beam's job server for Spark")
    environment: Address = Field(
        "localhost:50000", description="of the worker pool, as the executors see it"
    )


class DataflowConfig(_Section):
    """Google Cloud Dataflow."""

    engine: Literal["dataflow"]
    project: str = Field(min_length=1)
    region: str = Field(min_length=1)
    temp_location: str = Field(pattern=_GCS)
    staging_location: str | None = Field(None, pattern=_GCS, description="null: temp_location")
    image: str | None = Field(
        None, min_length=1, description="of the workers; null: they install wheel and lock"
    )
    packages: list[str] = Field(
        default_factory=list, description="wheels of your own that the workers install"
    )
    machine_type: str | None = Field(None, min_length=1)
    disk_size_gb: int | None = Field(None, gt=0)
    max_workers: int | None = Field(None, gt=0)
    service_account: str | None = Field(None, min_length=1)
    subnetwork: str | None = Field(None, min_length=1)
    public_ips: bool = True

    @model_validator(mode="after")
    def _packages_are_wheels(self) -> DataflowConfig:
        for index, path in enumerate(self.packages):
            if not path.endswith(".whl"):
                raise ValueError(f"packages.{index}: found {path!r}; allowed: a .whl file")
        return self


def _with_default_engine(value: Any) -> Any:
    return {"engine": "direct", **value} if isinstance(value, dict) else value


BeamConfig = Annotated[
    DirectConfig | PortableConfig | FlinkConfig | SparkConfig | DataflowConfig,
    Field(discriminator="engine"),
    BeforeValidator(_with_default_engine),
]
