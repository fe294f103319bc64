"""`task.options` of the tabular task: what is predicted, from which columns, read how."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from trainer_module.config.section import Section

DateUnit = Literal["seconds", "milliseconds"]
DatePart = Literal["year", "month", "day", "weekday", "hour", "minute"]
Imputation = Literal["mean", "median"]

_MISSING = "allowed: 'mean', 'median' or a number"


class _Ids(Section):
    """What becomes whole numbers, each with a learned vector."""

    embedding: int | None = Field(
        None, gt=0, description="length of the vectors; null: by the number of ids"
    )


class _Vocabulary(_Ids):
    """Ids of the values that the training split holds, the most frequent ones."""

    top_k: int = Field(1000, gt=0, description="values in the vocabulary at most")
    min_count: int = Field(1, gt=0, description="how often one must occur to be in it")
    oov_buckets: int = Field(1, gt=0, description="ids that all other values share, by hash")


class NumericOptions(_Ids):
    """A number."""

    kind: Literal["numeric"]
    scale: Literal["z_score", "log", "min_max", "none"] | None = Field(
        None, description="null: z_score, or with buckets no scaled number besides them"
    )
    clip: list[float] | None = Field(
        None, min_length=2, max_length=2, description="least and greatest; before all else"
    )
    buckets: int | None = Field(
        None, ge=2, le=1000, description="quantile buckets: ids rather than a number"
    )
    size: int = Field(1, gt=0, description="numbers in a row, where it holds a vector")
    missing: Any = Field("mean", description="mean, median, or a number: in place of none")
    indicator: bool = Field(True, description="a second number says whether it is missing")

    @field_validator("missing")
    @classmethod
    def _a_number_or_a_statistic(cls, value: Any) -> float | str:
        if value in ("mean", "median"):
            return value
        if type(value) in (int, float) and math.isfinite(value):
            return float(value)
        raise ValueError(_MISSING)

    @field_validator("clip")
    @classmethod
    def _least_comes_first(cls, value: list[float] | None) -> list[float] | None:
        if value is not None and value[0] >= value[1]:
            raise ValueError("allowed: the least and then the greatest")
        return value

    @model_validator(mode="after")
    def _no_buckets_of_vectors(self) -> NumericOptions:
        if self.size > 1 and self.buckets is not None:
            raise ValueError(
                f"buckets: found {self.buckets} with size {self.size}; allowed: null, since a "
                "vector's numbers are read as they are"
            )
        return self

    @property
    def is_scaled(self) -> bool:
        """Whether the model reads the number itself."""
        return self.scale is not None or self.buckets is None


class CategoricalOptions(_Vocabulary):
    """A text or a whole number that names a kind of thing; a row may hold several."""

    kind: Literal["categorical"]
    hash_buckets: int | None = Field(
        None, gt=0, description="ids by hash alone, without a vocabulary"
    )
    max_values: int = Field(1, gt=0, description="values of a row that are read")

    @model_validator(mode="after")
    def _hash_or_vocabulary(self) -> CategoricalOptions:
        stray = self.model_fields_set & {"top_k", "min_count", "oov_buckets"}
        if self.hash_buckets is not None and stray:
            raise ValueError(
                f"hash_buckets: found {self.hash_buckets} with {', '.join(sorted(stray))}; "
                "allowed: null, or no key of a vocabulary"
            )
        return self


class TextOptions(_Vocabulary):
    """Prose: the words in it, in no order."""

    kind: Literal["text"]
    top_k: int = Field(5000, gt=0, description="words in the vocabulary at most")
    min_count: int = Field(2, gt=0, description="how often a word must occur to be in it")
    max_tokens: int = Field(64, gt=0, description="words of a row that are read")


class DateOptions(_Ids):
    """A moment: seconds since 1970, or ISO text, which is read as it is written."""

    kind: Literal["date"]
    unit: DateUnit = Field("seconds", description="of numbers; texts have none")
    parts: list[DatePart] = Field(["month", "weekday", "hour"], min_length=1)

    @field_validator("parts")
    @classmethod
    def _each_once(cls, value: list[DatePart]) -> list[DatePart]:
        if len(set(value)) < len(value):
            raise ValueError("allowed: each part once")
        return value


FeatureOptions = Annotated[
    NumericOptions | CategoricalOptions | TextOptions | DateOptions,
    Field(discriminator="kind"),
]


class CrossOptions(_Ids):
    """Pairs, or more, of what columns hold together, hashed."""

    of: list[str] = Field(
        min_length=2,
        max_length=4,
        description="categorical or bucketed features, or a part of a date, as `column.part`",
    )
    buckets: int = Field(1000, gt=1, description="ids")


class TabularOptions(Section):
    """All that the tabular task is told."""

    problem: Literal["binary", "multiclass", "regression"]
    classes: list[str | int] = Field(
        default_factory=list,
        description="values of the label in the order of their numbers; of a regression none",
    )
    hidden: list[Annotated[int, Field(gt=0)]] = Field([64, 32], min_length=1)
    dropout: float = Field(0.3, ge=0, lt=1)
    features: dict[str, FeatureOptions] = Field(min_length=1)
    crosses: list[CrossOptions] = Field(default_factory=list)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes as texts."""
        return tuple(map(str, self.classes))

    def of_kind(self, kind: type[Section]) -> Mapping[str, Any]:
        """Returns the features of a kind by name, in the order of their names."""
        return {
            name: options
            for name, options in sorted(self.features.items())
            if isinstance(options, kind)
        }

    def for_transform(self) -> dict[str, Any]:
        """Returns what Transform must know of it, and nothing that only the model does.

        Another width of the network does not make Transform run again.
        """
        model_only: dict[str, Any] = {
            "hidden": True,
            "dropout": True,
            "features": {name: {"embedding"} for name in self.features},
            "crosses": {"__all__": {"embedding"}},
        }
        return self.model_dump(mode="json", exclude=model_only, exclude_defaults=True)

    @model_validator(mode="after")
    def _classes_fit_the_problem(self) -> TabularOptions:
        names, found = self.class_names, f"classes: found {self.classes}"
        if len(set(names)) < len(names):
            raise ValueError(f"{found}; allowed: each class once")
        fits, allowed = {
            "binary": (len(names) == 2, "two classes, the second of which is the positive one"),
            "multiclass": (len(names) >= 2, "two classes or more"),
            "regression": (not names, "none"),
        }[self.problem]
        if not fits:
            raise ValueError(f"{found}; allowed: {allowed}, with problem {self.problem!r}")
        return self

    @model_validator(mode="after")
    def _crosses_are_of_features(self) -> TabularOptions:
        known = self._crossable()
        if len(set(known)) < len(known):
            twice = next(name for name in known if known.count(name) > 1)
            raise ValueError(
                f"features: found {twice!r} both as a column and as the part of a date; "
                "allowed: names that tell them apart"
            )
        for index, cross in enumerate(self.crosses):
            if cross.of in [other.of for other in self.crosses[:index]]:
                raise ValueError(f"crosses.{index}.of: found {cross.of} again; allowed: once")
            stray = [name for name in cross.of if name not in known]
            if stray or len(set(cross.of)) < len(cross.of):
                raise ValueError(
                    f"crosses.{index}.of: found {stray[0] if stray else cross.of!r}; "
                    f"allowed: each once, of: {', '.join(known)}"
                )
        return self

    def _crossable(self) -> list[str]:
        """Returns the names that a cross may hold: of what has one id in a row."""
        known = [
            name
            for name, options in sorted(self.features.items())
            if (isinstance(options, CategoricalOptions) and options.max_values == 1)
            or (isinstance(options, NumericOptions) and options.buckets is not None)
        ]
        known += [
            f"{name}.{part}"
            for name, options in self.of_kind(DateOptions).items()
            for part in options.parts
        ]
        return known
