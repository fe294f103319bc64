"""The `serve` part of a run's configuration, held to TF Serving's own rules."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class BatchingConfig(_Section):
    """TF Serving's BatchingParameters; units and meanings are TF Serving's."""

    max_batch_size: int = Field(64, gt=0)
    batch_timeout_micros: int = Field(1000, ge=0, description="microseconds a request may wait")
    max_enqueued_batches: int = Field(100, gt=0)
    num_batch_threads: int = Field(2, gt=0)
    allowed_batch_sizes: list[int] = Field(
        default_factory=list, description="empty: any size up to max_batch_size"
    )
    pad_variable_length_inputs: bool = Field(
        False, description="pads inputs of different shapes with their first value"
    )
    enable_large_batch_splitting: bool = Field(
        False, description="runs a larger request in parts of max_execution_batch_size"
    )
    max_execution_batch_size: int = Field(0, ge=0, description="0: the same as max_batch_size")

    @field_validator("allowed_batch_sizes")
    @classmethod
    def _increasing(cls, sizes: list[int]) -> list[int]:
        if any(size <= 0 for size in sizes) or sizes != sorted(set(sizes)):
            raise ValueError("allowed: positive sizes in increasing order")
        return sizes

    @model_validator(mode="after")
    def _last_is_the_largest(self) -> BatchingConfig:
        if self.allowed_batch_sizes and self.allowed_batch_sizes[-1] != self.max_batch_size:
            raise ValueError(
                f"allowed_batch_sizes: found {self.allowed_batch_sizes}; "
                f"allowed: the last one equal to max_batch_size ({self.max_batch_size})"
            )
        return self

    @model_validator(mode="after")
    def _parts_are_no_larger_than_requests(self) -> BatchingConfig:
        if self.max_execution_batch_size > self.max_batch_size:
            raise ValueError(
                f"max_execution_batch_size: found {self.max_execution_batch_size}; allowed: at "
                f"most max_batch_size ({self.max_batch_size})"
            )
        return self

    @property
    def execution_batch_size(self) -> int:
        """The most rows of one call."""
        if self.enable_large_batch_splitting and self.max_execution_batch_size:
            return self.max_execution_batch_size
        return self.max_batch_size


class ServeConfig(_Section):
    """Where a blessed model goes, and how TF Serving is told to serve it."""

    root: str | None = Field(
        None, min_length=1, description="null: the folder `serving` under the pipeline's root"
    )
    model_name: str | None = Field(
        None, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", description="null: the run's name"
    )
    keep_versions: int = Field(3, gt=0, description="older ones that are not served are removed")
    push_to: Literal["stable", "canary"] = Field(
        "stable", description="label of a new version; the first one is stable either way"
    )
    model_config_file_poll_wait_seconds: float = Field(
        1.0, ge=0, description="what the servers have in the flag of that name"
    )
    tolerance: float = Field(
        1e-5, gt=0, description="largest difference of the exported model from the trained one"
    )
    batching: BatchingConfig = BatchingConfig()
