"""`train.input`: how examples are read, kept and augmented."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from trainer_module.config.section import Section


class AugmentConfig(Section):
    """Random changes of one image feature, in training batches only.

    Each range is symmetric about no change, and a number is drawn evenly from it for every image
    of every step.
    """

    feature: str = Field("image", min_length=1, description="transformed, [h, w, c], float32")
    flip: Literal["horizontal", "vertical", "both"] | None = Field(
        None, description="along each of them in one image of two"
    )
    rotation: float = Field(0.0, ge=0, le=180, description="degrees either way")
    zoom: float = Field(
        0.0, ge=0, lt=1, description="0.1: from 0.9 to 1.1 times the size, about the center"
    )
    translation: float = Field(
        0.0, ge=0, le=1, description="of the height and of the width, either way"
    )
    contrast: float = Field(
        0.0, ge=0, le=1, description="0.2: from 0.8 to 1.2 times the distance from the mean"
    )


class InputConfig(Section):
    """How the loop reads its examples."""

    cache: Literal["auto", "memory", "file", "none"] = Field(
        "auto",
        description="where examples are kept in between epochs: as arrays in memory, as arrays in "
        "files on a local disk, or nowhere: read from the TFRecords in every epoch; auto: in "
        "memory where they are small, else in files",
    )
    shuffle_buffer: int | None = Field(
        None, gt=0, description="cache none only: rows that the next is drawn from; null: 10000"
    )
    parallel_reads: int | None = Field(
        None, gt=0, description="cache none only: files read in turn; null: 4"
    )
    augment: AugmentConfig | None = None

    @model_validator(mode="after")
    def _keys_of_a_stream_need_one(self) -> InputConfig:
        for name in ("shuffle_buffer", "parallel_reads"):
            value = getattr(self, name)
            if value is not None and self.cache != "none":
                raise ValueError(
                    f"{name}: found {value} with cache {self.cache!r}; "
                    "allowed: null, or cache 'none'"
                )
        return self
