"""Moments, taken apart into years, months, weekdays and hours by arithmetic in the graph."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from trainer_module.tasks.tabular.features.sparse import first_texts, numbers
from trainer_module.tasks.tabular.layout import FIRST, FIRST_YEAR, MISSING, PART_SIZES
from trainer_module.tasks.tabular.options import DateOptions

_DAY = 86_400
_ERA_DAYS = 146_097
"""Days in the 400 years after which the Gregorian calendar repeats itself."""
_SHIFT = 719_468
"""Days from the first of March of the year 0 to the first of January of 1970."""
_THURSDAY = 3
"""The weekday of that first of January, Monday being 0."""

_ISO = (
    r"\s*\d{4}-\d{2}-\d{2}"
    r"([T ]\d{2}:\d{2}(:\d{2}([.,]\d+)?)?\s*(Z|[+-]\d{2}(:?\d{2})?)?)?\s*"
)
_STAND_IN = "1970-01-01T00:00"


def date_ids(name: str, column: tf.SparseTensor, options: DateOptions) -> dict[str, tf.Tensor]:
    """Returns the ids of a date's parts, [b] int64 by part; `MISSING` where there is no date.

    Args:
        name: of the column, for messages.
        column: [b, any]: numbers since 1970 in `options.unit`, UTC; or texts,
            `YYYY-MM-DD[ HH:MM[:SS]]` with a blank or a T between, whose parts are those that are
            written there, whatever zone follows. What is no such date counts as missing.
    """
    if column.dtype == tf.string:
        days, seconds, valid = _of_texts(first_texts(column))
    else:
        days, seconds, valid = _of_numbers(numbers({name: column})[:, 0], options)
    year, month, day = _civil_from_days(days)
    values = {
        "year": tf.clip_by_value(year - FIRST_YEAR, 0, PART_SIZES["year"] - 1),
        "month": month - 1,
        "day": day - 1,
        "weekday": tf.math.floormod(days + _THURSDAY, 7),
        "hour": seconds // 3600,
        "minute": seconds // 60 % 60,
    }
    missing = tf.constant(MISSING, tf.int64)
    return {part: tf.where(valid, values[part] + FIRST, missing) for part in options.parts}


Moment = tuple[tf.Tensor, tf.Tensor, tf.Tensor]
"""Days since 1970 and seconds of the day, [b] int64, and whether they are of any date, [b]."""


def _of_numbers(values: tf.Tensor, options: DateOptions) -> Moment:
    """values: [b] float64, which holds whole seconds exactly for 200 million years."""
    # Beyond these the year has more than four digits; they keep the arithmetic in its range.
    seconds = tf.floor(values / 1000.0 if options.unit == "milliseconds" else values)
    valid = (seconds >= -62_167_219_200.0) & (seconds < 253_402_300_800.0)
    whole = tf.cast(tf.where(valid, seconds, tf.zeros_like(seconds)), tf.int64)
    return whole // _DAY, tf.math.floormod(whole, _DAY), valid


def _of_texts(texts: tf.Tensor) -> Moment:
    """texts: [b] string."""
    is_date = tf.strings.regex_full_match(texts, _ISO)
    stripped = tf.strings.strip(tf.where(is_date, texts, tf.constant(_STAND_IN)))
    padded = tf.strings.join([stripped, _STAND_IN[len("1970-01-01") :]])
    year, month, day, hour, minute = (
        tf.strings.to_number(tf.strings.substr(padded, start, length), tf.int64)
        for start, length in ((0, 4), (5, 2), (8, 2), (11, 2), (14, 2))
    )
    days = _days_from_civil(year, month, day)
    # The 31st of April, say, comes back as another day.
    again = zip((year, month, day), _civil_from_days(days), strict=True)
    valid = is_date & (hour < 24) & (minute < 60)
    for written, found in again:
        valid &= tf.equal(written, found)
    return days, hour * 3600 + minute * 60, valid


def _days_from_civil(year: tf.Tensor, month: tf.Tensor, day: tf.Tensor) -> tf.Tensor:
    """Returns days since 1970-01-01; Hinnant, "chrono-compatible low-level date algorithms".

    Years begin in March there, so that the leap day ends one. https://howardhinnant.github.io
    """
    year -= tf.cast(month <= 2, tf.int64)
    era = year // 400
    year_of_era = year - era * 400
    day_of_year = (153 * tf.math.floormod(month - 3, 12) + 2) // 5 + day - 1
    day_of_era = year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year
    return era * _ERA_DAYS + day_of_era - _SHIFT


def _civil_from_days(days: tf.Tensor) -> Sequence[tf.Tensor]:
    """Returns year, month (1 to 12) and day (from 1); the inverse, by the same source."""
    shifted = days + _SHIFT
    era = shifted // _ERA_DAYS
    day_of_era = shifted - era * _ERA_DAYS
    year_of_era = (
        day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096
    ) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    march_based = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * march_based + 2) // 5 + 1
    month = tf.math.floormod(march_based + 2, 12) + 1
    year = year_of_era + era * 400 + tf.cast(month <= 2, tf.int64)
    return year, month, day
