"""The `orchestration.kubeflow` part of a run's configuration."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

_KUBERNETES_NAME = r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$"
_VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"
_SECRET_KEY = r"^[-._a-zA-Z0-9]{1,253}$"  # noqa: S105  no secret


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class AcceleratorConfig(_Section):
    """The accelerators of a container."""

    type: str = Field(
        min_length=1, description="nvidia.com/gpu on Kubernetes, NVIDIA_TESLA_T4 on Vertex"
    )
    count: int = Field(1, gt=0)


class RetriesConfig(_Section):
    """How often a container that failed is started again, and after how long."""

    count: int = Field(gt=0)
    backoff_seconds: int = Field(60, ge=0, description="before the first time")
    factor: float = Field(2.0, ge=1, description="of each wait to the one before")
    max_seconds: int = Field(3600, gt=0, description="the longest wait")


class SecretConfig(_Section):
    """Keys of a Kubernetes secret that a container finds in its environment."""

    name: str = Field(pattern=_KUBERNETES_NAME)
    env: dict[
        Annotated[str, Field(pattern=_VARIABLE)], Annotated[str, Field(pattern=_SECRET_KEY)]
    ] = Field(min_length=1, description="key of the secret by environment variable")


class NodeConfig(_Section):
    """What the container of a node gets; null: what the cluster gives."""

    cpu: float | None = Field(None, gt=0, description="cores")
    memory: float | None = Field(None, gt=0, description="gigabytes")
    accelerator: AcceleratorConfig | None = None
    retries: RetriesConfig | None = None
    secrets: list[SecretConfig] = Field(default_factory=list)


class KubeflowConfig(_Section):
    """What Kubeflow is told of a pipeline, and where it is."""

    host: str | None = Field(
        None, pattern=r"^https?://[^\s@]+$", description="address of the Kubeflow Pipelines API"
    )
    namespace: str | None = Field(
        None,
        pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$",
        description="whom the runs belong to, where Kubeflow has many users; null: it has one",
    )
    experiment: str | None = Field(
        None, min_length=1, description="what the runs are filed under; null: the pipeline's name"
    )
    service_account: str | None = Field(
        None, min_length=1, description="that the pods run as; null: the server's default"
    )
    ca_file: str | None = Field(
        None, min_length=1, description="certificate authority of the server, PEM; null: the known"
    )
    image: str | None = Field(
        None, min_length=1, description="that every node runs in; required to compile"
    )
    pipeline_root: str | None = Field(
        None,
        pattern=r"^(minio|s3|gs)://[^/]+",
        description="where artifacts go; null: where the installation puts them",
    )
    root: str = Field(
        "/tapeline",
        pattern=r"^/.+",
        description="`root`, as the containers see it: a folder that outlives them",
    )
    claim: str | None = Field(
        None,
        pattern=_KUBERNETES_NAME,
        description="PersistentVolumeClaim that is mounted at `root`; not for Vertex",
    )
    default: NodeConfig = NodeConfig()
    nodes: dict[str, NodeConfig] = Field(
        default_factory=dict, description="by node; what it says replaces what `default` says"
    )

    def node(self, name: str) -> NodeConfig:
        """Returns what holds for a node: its own section over `default`."""
        own = self.nodes.get(name)
        if own is None:
            return self.default
        said = {key: getattr(own, key) for key in own.model_fields_set}
        return self.default.model_copy(update=said)
