"""The `schema` part of a run's configuration."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class SchemaConfig(BaseModel):
    """Where the reviewed schema is, if there is one."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    path: str | None = Field(None, min_length=1, description="a Schema proto as text; null: infer")
