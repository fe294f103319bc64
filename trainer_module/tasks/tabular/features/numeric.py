"""Numbers: clipped, imputed, scaled, or sorted into quantile buckets."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import tensorflow as tf

from trainer_module.tasks.tabular.features.sparse import Columns, numbers
from trainer_module.tasks.tabular.features.summary import analyze
from trainer_module.tasks.tabular.layout import FIRST, MISSING
from trainer_module.tasks.tabular.options import NumericOptions


class Numbers:
    """The numeric columns of a batch, and all that is known of them.

    They go through the same few operations side by side, so that hundreds of columns are no larger
    a graph than one; what is done to which says a vector.

    Args:
        inputs: raw columns.
        features: options by column, one or more.
    """

    def __init__(self, inputs: Columns, features: Mapping[str, NumericOptions]) -> None:
        # A column of vectors is as many columns of numbers.
        self._names = [name for name, o in features.items() for _ in range(o.size)]
        self._options = [features[name] for name in self._names]
        sizes = {name: options.size for name, options in features.items()}
        raw = numbers({name: inputs[name] for name in features}, sizes)
        self._values = tf.cast(self._prepared(raw), tf.float32)
        buckets = {i: o.buckets for i, o in enumerate(self._options) if o.buckets is not None}
        medians = [i for i, o in enumerate(self._options) if o.missing == "median"]
        self._statistics, self._boundaries = analyze(self._values, medians, buckets)

    def scaled(self) -> tf.Tensor:
        """Returns the numbers that the model reads, then the indicators, [b, n] float32."""
        options = self._options
        held = [i for i, o in enumerate(options) if o.is_scaled]
        marked = [i for i in held if options[i].indicator]
        wide = tf.cast(self._values, tf.float64)
        missing = tf.math.is_nan(wide)
        start, factor = self._start_and_factor()
        filled = tf.where(missing, self._substitutes(), wide)
        scaled = tf.cast((filled - start) * factor, tf.float32)
        indicators = tf.cast(missing, tf.float32)
        return tf.concat(
            [
                tf.gather(scaled, held, axis=1),
                tf.gather(indicators, tf.constant(marked, tf.int32), axis=1),
            ],
            axis=1,
        )

    def _substitutes(self) -> tf.Tensor:
        """Returns what stands where a value is missing, [n] float64."""
        mean, *_, median = tf.unstack(self._statistics, axis=1)
        given = [o.missing if isinstance(o.missing, float) else 0.0 for o in self._options]
        return tf.where(
            self._has(lambda o: o.missing == "mean"),
            mean,
            tf.where(
                self._has(lambda o: o.missing == "median"),
                median,
                self._prepared(tf.constant([given], tf.float64))[0],
            ),
        )

    def _start_and_factor(self) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns what is taken from values, and what the rest is multiplied by, [n] float64."""
        mean, deviation, least, greatest, _ = tf.unstack(self._statistics, axis=1)
        z_score = self._has(lambda o: o.scale in (None, "z_score", "log"))
        min_max = self._has(lambda o: o.scale == "min_max")
        start = tf.where(z_score, mean, tf.where(min_max, least, tf.zeros_like(least)))
        span = tf.where(
            z_score, deviation, tf.where(min_max, greatest - least, tf.ones_like(least))
        )
        # Multiplied by a reciprocal taken once: where Transform's graph divides by a constant, an
        # optimizer of graphs may or may not make that of it, with another last bit.
        return start, tf.math.divide_no_nan(tf.ones_like(span), span)

    def buckets(self) -> dict[str, tf.Tensor]:
        """Returns the ids of the bucketed columns, [b] int64 by name."""
        bucketed = [i for i, o in enumerate(self._options) if o.buckets is not None]
        if not bucketed:
            return {}
        values = tf.transpose(tf.gather(self._values, bucketed, axis=1))
        places = tf.searchsorted(self._boundaries, values, side="right", out_type=tf.int64)
        ids = tf.where(tf.math.is_nan(values), tf.constant(MISSING, tf.int64), places + FIRST)
        return {self._names[column]: ids[row] for row, column in enumerate(bucketed)}

    def _prepared(self, values: tf.Tensor) -> tf.Tensor:
        """Returns values [b, n] float64 clipped, and as logarithms where these are asked for.

        The logarithm is one of float64: that of float32 has other bits in the last rows of a
        batch, which TensorFlow computes one by one, than in the others.
        """
        clips = [o.clip or (-math.inf, math.inf) for o in self._options]
        least, greatest = tf.unstack(tf.constant(clips, tf.float64), axis=1)
        clipped = tf.minimum(tf.maximum(values, least), greatest)
        logs = tf.sign(clipped) * tf.math.log1p(tf.abs(clipped))
        prepared = tf.where(self._has(lambda o: o.scale == "log"), logs, clipped)
        return tf.where(tf.math.is_nan(values), values, prepared)

    def _has(self, property_: Callable[[NumericOptions], bool]) -> tf.Tensor:
        """Returns which columns have a property, [n] bool."""
        return tf.constant([property_(options) for options in self._options], tf.bool)
