"""The tabular task: a table's rows to classes or to a number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
import tf_keras as keras

from trainer_module.metrics import Metric, PerExample, auc
from trainer_module.tasks import losses
from trainer_module.tasks.base import Classification, Head, Task, Tensors
from trainer_module.tasks.tabular.columns import column_problems, columns_read
from trainer_module.tasks.tabular.features.preprocessing import preprocessing_fn
from trainer_module.tasks.tabular.layout import LABEL, LABEL_SCALE, id_features
from trainer_module.tasks.tabular.model import HEAD, build_model
from trainer_module.tasks.tabular.options import TabularOptions


class Tabular(Task):
    """A classifier or a regression of whatever columns its options name; see `TabularOptions`.

    Raises:
        ValidationError: if the options are not those of `TabularOptions`.
    """

    preprocessing_fn = staticmethod(preprocessing_fn)
    column_problems = staticmethod(column_problems)
    columns_read = staticmethod(columns_read)
    sparse_inputs = True
    options_section = TabularOptions

    def __init__(self, **options: Any) -> None:
        self._options = TabularOptions.model_validate(options)
        if self._options.problem != "regression":
            self.class_names = self._options.class_names

    def transform_options(self) -> Mapping[str, Any]:
        return {"options": self._options.for_transform()}

    @property
    def heads(self) -> Sequence[Head]:
        kinds: dict[str, tuple[PerExample, str, dict[str, PerExample | Metric]]] = {
            "binary": (
                losses.sigmoid_cross_entropy,
                "score",
                {"accuracy": losses.binary_hit, "auc": auc()},
            ),
            "multiclass": (
                losses.softmax_cross_entropy,
                "probabilities",
                {"accuracy": losses.class_hit},
            ),
            "regression": (
                losses.squared_error,
                "prediction",
                {"mae": losses.absolute_error, "mse": losses.squared_error},
            ),
        }
        loss, served, measured = kinds[self._options.problem]
        return (Head(HEAD, LABEL, loss, served, metrics=measured),)

    @property
    def label_values(self) -> Sequence[str | int] | None:
        """The classes; of a regression any finite number."""
        return self._options.classes or None

    def losses(self, outputs: Tensors, features: Tensors) -> dict[str, tf.Tensor]:
        """Returns the head's loss; of a regression in variances of the label.

        So that learning rates and clipped gradients mean the same for labels of any size.
        """
        found = super().losses(outputs, features)
        if self._options.problem == "regression":
            variance = tf.square(features[LABEL_SCALE][:, 1])
            found[HEAD] = tf.math.divide_no_nan(found[HEAD], variance)
        return found

    def build_model(self, feature_spec: Mapping[str, Any]) -> keras.Model:
        return build_model(
            feature_spec,
            list(id_features(self._options).values()),
            outputs=len(self._options.classes) if self._options.problem == "multiclass" else 1,
            hidden=self._options.hidden,
            dropout=self._options.dropout,
        )

    def serving_outputs(self, outputs: Tensors) -> dict[str, tf.Tensor]:
        """Returns what a client gets.

        Of a regression prediction [b] float32, in the label's unit; else class_id [b] int64, label
        [b] string and probabilities [b, classes]. A binary one has score [b] besides, the
        probability of the second class, what a threshold is set on.
        """
        if self._options.problem == "regression":
            return {"prediction": outputs[HEAD]}
        if self._options.problem == "binary":
            score = tf.sigmoid(outputs[HEAD])
            class_id = tf.cast(score > 0.5, tf.int64)
            answers = {"probabilities": tf.stack([1.0 - score, score], axis=1), "score": score}
        else:
            class_id = tf.argmax(outputs[HEAD], axis=-1)
            answers = {"probabilities": tf.nn.softmax(outputs[HEAD])}
        label = tf.gather(tf.constant(self.class_names), class_id)
        return {"class_id": class_id, "label": label, **answers}

    def classification(self, outputs: Tensors) -> Classification | None:
        """Returns all classes by their names, with their probabilities; None of a regression."""
        if self._options.problem == "regression":
            return None
        probabilities = self.serving_outputs(outputs)["probabilities"]
        return Classification.of_all(self.class_names, probabilities)

    def regression(self, outputs: Tensors) -> tf.Tensor | None:
        """Returns the number predicted, or the probability of a binary label's second class."""
        if self._options.problem == "multiclass":
            return None
        answers = self.serving_outputs(outputs)
        return answers["prediction" if self._options.problem == "regression" else "score"]
