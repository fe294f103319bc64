"""The SavedModel that leaves a training: raw data in, answers out, Transform's graph inside."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import tensorflow as tf
import tensorflow_transform as tft
import tf_keras as keras

from trainer_module.tasks.base import Task

Tensors = dict[str, tf.Tensor]

EVALUATION_FEATURES = "features_and_labels"
"""Function of the SavedModel, not a signature, that model analysis reads labels from."""


class ServingModel:
    """A trained model with Transform's graph in front of it, and its serving signatures.

    Attributes:
        signatures: callables by signature name, keyword tensors in, a dict of tensors out.
            serving_default: examples [b] string, serialized raw tf.Examples -> the task's answers.
            serving_raw: one tensor a raw feature -> the same answers.
            embedding: one tensor a raw feature -> embedding [b, d].
            transform_features: examples [b] string -> the transformed features.

    Args:
        raw_spec: feature spec of the raw examples, the label included; fixed length.
        label: raw feature that is the label; no signature needs it.
    """

    def __init__(
        self,
        task: Task,
        model: keras.Model,
        transform: tft.TFTransformOutput,
        raw_spec: Mapping[str, tf.io.FixedLenFeature],
        label: str,
    ) -> None:
        self._task = task
        self._model = model
        self._transform = transform.transform_features_layer()
        self._raw_spec = dict(raw_spec)
        self._served_spec = {name: spec for name, spec in raw_spec.items() if name != label}
        self.signatures: dict[str, Callable[..., Tensors]] = {
            "serving_default": self._of_examples(self._served_spec, self._answer),
            "serving_raw": self._of_raw_tensors(self._answer),
            "embedding": self._of_raw_tensors(self._embed),
            "transform_features": self._of_examples(self._served_spec, self._transform),
        }

    def save(self, folder: str) -> None:
        """Writes the SavedModel with its signatures."""
        module = tf.Module()
        module.model = self._model
        module.transform = self._transform
        setattr(module, EVALUATION_FEATURES, self._of_examples(self._raw_spec, self._transform))
        tf.saved_model.save(module, folder, signatures=self.signatures)

    def raw_tensors(self, examples: tf.Tensor) -> Tensors:
        """Turns serialized examples [b] into the inputs of the raw signatures."""
        parsed = tf.io.parse_example(examples, self._served_spec)
        return {
            name: tf.reshape(value, [-1, *_served_shape(self._served_spec[name])])
            for name, value in parsed.items()
        }

    def _outputs(self, raw: Tensors) -> Tensors:
        return self._model(self._transform(raw), training=False)

    def _answer(self, raw: Tensors) -> Tensors:
        return self._task.serving_outputs(self._outputs(raw))

    def _embed(self, raw: Tensors) -> Tensors:
        return {"embedding": self._outputs(raw)["embedding"]}

    def _of_examples(
        self, spec: Mapping[str, tf.io.FixedLenFeature], body: Callable[[Tensors], Tensors]
    ) -> Callable[..., Tensors]:
        # AutoGraph would convert Keras itself, which takes the better part of a minute.
        @tf.autograph.experimental.do_not_convert
        def from_examples(examples: tf.Tensor) -> Tensors:
            return body(tf.io.parse_example(examples, spec))

        return tf.function(from_examples).get_concrete_function(
            tf.TensorSpec([None], tf.string, name="examples")
        )

    def _of_raw_tensors(self, body: Callable[[Tensors], Tensors]) -> Callable[..., Tensors]:
        specs = {
            name: tf.TensorSpec([None, *_served_shape(spec)], spec.dtype, name=name)
            for name, spec in self._served_spec.items()
        }

        @tf.autograph.experimental.do_not_convert
        def from_raw(**tensors: tf.Tensor) -> Tensors:
            return body(
                {
                    name: tf.reshape(value, [-1, *self._served_spec[name].shape])
                    for name, value in tensors.items()
                }
            )

        return tf.function(from_raw).get_concrete_function(**specs)


def _served_shape(spec: tf.io.FixedLenFeature) -> list[int]:
    """Shape of a raw feature without the batch: a single value is a scalar to a client."""
    return [] if list(spec.shape) == [1] else list(spec.shape)
