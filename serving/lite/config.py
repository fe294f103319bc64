"""The `lite` part of a run's configuration: which variants there are, and what each has to hold."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

Variant = Literal["float32", "dynamic_range", "float16", "int8", "int8_float"]

VARIANTS: tuple[Variant, ...] = get_args(Variant)


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Tolerance(_Section):
    """How far a variant's answers on the test split may be from the SavedModel's.

    In a configuration, null leaves the variant's default; in a default, null is not asked.
    """

    agreement: float | None = Field(
        None, ge=0, le=1, description="least share of rows with the same integers, such as classes"
    )
    difference: float | None = Field(
        None,
        gt=0,
        description="largest difference of a float, relative to 1 or to the value if that is more",
    )
    error: float | None = Field(
        None,
        gt=0,
        description="largest root mean square difference of an output's floats, relative to their "
        "standard deviation over the rows",
    )


TOLERANCES: dict[Variant, Tolerance] = {
    "float32": Tolerance(agreement=0.999, difference=1e-5, error=None),
    "dynamic_range": Tolerance(agreement=0.97, difference=None, error=0.1),
    "float16": Tolerance(agreement=0.99, difference=0.01, error=0.01),
    "int8": Tolerance(agreement=0.97, difference=None, error=0.2),
    "int8_float": Tolerance(agreement=0.97, difference=None, error=0.2),
}
"""What each variant has to hold unless the configuration says otherwise.

An error of 0.2 leaves 96% of an output's variance explained, one of 0.1 leaves 99%.
"""


class LiteConfig(_Section):
    """Which TF Lite variants are made of a model, and what they have to hold."""

    variants: list[Variant] = Field(default_factory=lambda: list(VARIANTS), min_length=1)
    required: list[Variant] | None = Field(
        None,
        description="whose refusal is a failure, that of another is only told; null: float32's, if "
        "it is made",
    )
    tolerances: dict[Variant, Tolerance] = Field(default_factory=dict, description="by variant")
    representative_rows: int = Field(
        200, gt=0, description="of the train split, by which int8's ranges are measured"
    )
    test_rows: int = Field(2000, gt=0, description="of the test split, at most")

    @model_validator(mode="after")
    def _names_agree(self) -> LiteConfig:
        if len(set(self.variants)) != len(self.variants):
            raise ValueError(f"variants: found {self.variants}; allowed: each one once")
        missing = [name for name in self.required or () if name not in self.variants]
        if missing:
            raise ValueError(
                f"required: found {missing}; allowed: some of variants, {self.variants}"
            )
        return self

    @property
    def required_variants(self) -> list[Variant]:
        """The variants without which there is no success."""
        if self.required is None:
            return [name for name in self.variants if name == "float32"]
        return self.required

    def tolerance(self, variant: Variant) -> Tolerance:
        """Returns what a variant has to hold: the configured values, else the default ones."""
        given = self.tolerances.get(variant, Tolerance())
        return TOLERANCES[variant].model_copy(update=given.model_dump(exclude_none=True))
