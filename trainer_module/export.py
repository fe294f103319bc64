"""The SavedModel that leaves a training: raw data in, answers out, Transform's graph inside."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
import tf_keras as keras
from tf_keras.src.saving.legacy.saved_model.utils import keras_option_scope

from trainer_module.named_functions import NamedFunction, Tensors, name_inputs
from trainer_module.raw_features import FeatureSpec, RawFeature
from trainer_module.tasks.base import CLASSIFY, REGRESS, Signature, Task

RAW_SIGNATURES = ("serving_raw", "embedding")
"""The signatures that take one tensor a raw feature; the others take serialized examples."""

TRANSFORM_FEATURES = "transform_features"
"""The signature that model analysis reads labels from."""

TRANSFORMED = "transformed"
"""The signature that takes what Transform makes; all in it is numbers, as TF Lite wants."""

_METHODS = {
    CLASSIFY: tf.saved_model.CLASSIFY_METHOD_NAME,
    REGRESS: tf.saved_model.REGRESS_METHOD_NAME,
}
_GRAPH = "saved_model.pb"


class ServingModel:
    """A trained model with Transform's graph in front of it, and its serving signatures.

    Attributes:
        signatures: callables by signature name, keyword tensors in, a dict of tensors out.
            serving_default: examples [b] string, serialized raw tf.Examples -> the task's answers.
            serving_raw: one tensor a raw feature -> the same answers.
            embedding: one tensor a raw feature -> embedding [b, d].
            transform_features: examples [b] string -> the transformed features and labels.
            transformed: one tensor a transformed feature that the model reads -> the task's
            answers but for strings.
            classify, regress: inputs [b] string, serialized raw tf.Examples -> what TF Serving's
            Classify and Regress answer, where the task says it.
            And those of the task's own.

    Raw features that nothing which the model reads is computed from are asked of nobody. One of
    variable length may be missing in any row: in a tensor of its own NaN or "" says so, and
    integers are float64.

    Args:
        raw_spec: feature spec of the raw examples, the label included.
        label: raw feature that is the label. No signature needs it; where an example lacks one of
            fixed length, transform_features computes with -1, NaN or "" instead.
        single: features of variable length of which no row holds more than one value.
    """

    def __init__(
        self,
        task: Task,
        model: keras.Model,
        transform: tft.TFTransformOutput,
        raw_spec: Mapping[str, FeatureSpec],
        label: str,
        single: Collection[str] = (),
    ) -> None:
        self._task = task
        self._model = model
        self._transform = transform.transform_features_layer()
        self._transformed_specs = _transformed_specs(task, model, transform)
        read = _raw_features_behind(self._transform, self._transformed_specs) - {label}
        self._served_spec = {name: spec for name, spec in raw_spec.items() if name in read}
        self._raw_features = {
            name: RawFeature(name, spec, name in single) for name, spec in self._served_spec.items()
        }
        self.signatures: dict[str, Callable[..., Tensors]] = {
            "serving_default": _of_examples(self._served_spec, self._answer),
            "serving_raw": self._of_raw_tensors(self._answer),
            "embedding": self._of_raw_tensors(self._embed),
            TRANSFORM_FEATURES: _of_examples(
                {**raw_spec, label: _optional(raw_spec[label])}, self._transform
            ),
            TRANSFORMED: NamedFunction(self._answer_in_numbers, self._transformed_specs),
        }
        for name, body in ((CLASSIFY, self._classify), (REGRESS, self._regress)):
            function = NamedFunction(body, {"inputs": tf.TensorSpec([None], tf.string)})
            if function.structured_outputs is not None:
                self.signatures[name] = function
        self._examples: dict[str, Tensors] = {}
        for name, own in task.signatures(model).items():
            self._examples[name] = {key: tf.constant(v) for key, v in own.example.items()}
            self.signatures[name] = _of_task(own, _specs_like(self._examples[name]))

    def save(self, folder: str) -> None:
        """Writes the SavedModel with its signatures; there is none before it is complete."""
        module = tf.Module()
        module.model = self._model
        module.transform = self._transform
        partial = f"{folder.rstrip('/')}.partial"
        if tf.io.gfile.exists(partial):
            tf.io.gfile.rmtree(partial)
        named = {n: f for n, f in self.signatures.items() if isinstance(f, NamedFunction)}
        functions = {name: function.function for name, function in named.items()}
        # Keras adds functions of its own for every layer, to be loaded as Keras models: TF Serving
        # never calls them, and tracing them takes longer than all of the signatures.
        with keras_option_scope(save_traces=False):
            tf.saved_model.save(module, partial, signatures={**self.signatures, **functions})
        name_inputs(os.path.join(partial, _GRAPH), named)
        # TensorFlow 2 gives every signature the method of Predict.
        updater = tf.compat.v1.saved_model.signature_def_utils.MethodNameUpdater(partial)
        for name in _METHODS.keys() & self.signatures.keys():
            updater.replace_method_name(name, _METHODS[name])
        updater.save()
        _move_model(partial, folder)

    def inputs(self, signature: str, examples: tf.Tensor) -> Tensors:
        """Returns what to ask a signature about serialized examples [b].

        A signature of the task's own is not about examples: its inputs are those that it names.
        """
        if signature in self._examples:
            return self._examples[signature]
        if signature == TRANSFORMED:
            return self.transformed_tensors(examples)
        if signature in _METHODS:
            return {"inputs": examples}
        return self.raw_tensors(examples) if signature in RAW_SIGNATURES else {"examples": examples}

    def raw_tensors(self, examples: tf.Tensor) -> Tensors:
        """Turns serialized examples [b] into the inputs of the raw signatures."""
        parsed = tf.io.parse_example(examples, self._served_spec)
        return {
            name: feature.from_parsed(parsed[name]) for name, feature in self._raw_features.items()
        }

    def transformed_tensors(self, examples: tf.Tensor) -> Tensors:
        """Turns serialized examples [b] into the inputs of the signature `transformed`."""
        features = self.signatures[TRANSFORM_FEATURES](examples=examples)
        return {name: features[name] for name in self._transformed_specs}

    def _outputs(self, raw: Tensors) -> Tensors:
        return self._model(self._transform(raw), training=False)

    def _answer(self, raw: Tensors) -> Tensors:
        return self._task.serving_outputs(self._outputs(raw))

    def _answer_in_numbers(self, features: Tensors) -> Tensors:
        answers = self._task.serving_outputs(self._model(features, training=False))
        return {name: value for name, value in answers.items() if value.dtype != tf.string}

    def _classify(self, tensors: Tensors) -> Tensors | None:
        found = self._task.classification(self._outputs_of_examples(tensors["inputs"]))
        return None if found is None else {"classes": found.classes, "scores": found.scores}

    def _regress(self, tensors: Tensors) -> Tensors | None:
        found = self._task.regression(self._outputs_of_examples(tensors["inputs"]))
        return None if found is None else {"outputs": found}

    def _outputs_of_examples(self, examples: tf.Tensor) -> Tensors:
        return self._outputs(tf.io.parse_example(examples, self._served_spec))

    def _embed(self, raw: Tensors) -> Tensors:
        return {"embedding": self._outputs(raw)["embedding"]}

    def _of_raw_tensors(self, body: Callable[[Tensors], Tensors]) -> NamedFunction:
        features = self._raw_features
        return NamedFunction(
            lambda tensors: body({name: features[name].to_raw(t) for name, t in tensors.items()}),
            {name: tf.TensorSpec([None, *f.shape], f.dtype) for name, f in features.items()},
            nullable=[name for name, feature in features.items() if feature.is_nullable],
        )


def _of_examples(
    spec: Mapping[str, FeatureSpec], body: Callable[[Tensors], Tensors]
) -> Callable[..., Tensors]:
    """Returns `body` as a tf.function of serialized examples, [b] string."""

    # AutoGraph would convert Keras itself, which takes the better part of a minute.
    @tf.autograph.experimental.do_not_convert
    def from_examples(examples: tf.Tensor) -> Tensors:
        return body(tf.io.parse_example(examples, spec))

    signature = [tf.TensorSpec([None], tf.string, name="examples")]
    return tf.function(from_examples, input_signature=signature)


def _move_model(source: str, folder: str) -> None:
    """Moves a whole SavedModel to where it belongs, over one that may be there.

    Without `saved_model.pb` a folder holds no model: the old one's goes first, the new one's comes
    last.
    """
    gfile = tf.io.gfile
    gfile.makedirs(folder)
    if gfile.exists(os.path.join(folder, _GRAPH)):
        gfile.remove(os.path.join(folder, _GRAPH))
    entries = [entry.rstrip("/") for entry in gfile.listdir(source)]
    for entry in sorted(entries, key=lambda name: name == _GRAPH):
        target = os.path.join(folder, entry)
        if gfile.isdir(target):
            gfile.rmtree(target)
        gfile.rename(os.path.join(source, entry), target, overwrite=True)
    gfile.rmtree(source)


def _of_task(own: Signature, specs: Mapping[str, tf.TensorSpec]) -> NamedFunction:
    """Returns a signature of the task's own."""
    return NamedFunction(lambda tensors: own.function(**tensors), specs)


def _specs_like(example: Tensors) -> dict[str, tf.TensorSpec]:
    """Returns the specs of tensors like those of `example`, of any number of rows."""
    return {
        name: tf.TensorSpec([None, *value.shape[1:]], value.dtype, name=name)
        for name, value in example.items()
    }


def _transformed_specs(
    task: Task, model: keras.Model, transform: tft.TFTransformOutput
) -> dict[str, tf.TensorSpec]:
    """Returns the specs of the transformed features that the model reads.

    A functional model says which; of one that is a subclass, they are all but the labels.
    """
    spec = transform.transformed_feature_spec()
    named = getattr(model, "input", None)
    labels = {head.label for head in task.heads}
    read = set(named) if isinstance(named, Mapping) else set(spec) - labels
    return {
        name: tf.TensorSpec([None, *spec[name].shape], spec[name].dtype, name=name)
        for name in sorted(read)
    }


def _raw_features_behind(
    transform: tft.TransformFeaturesLayer, transformed: Collection[str]
) -> set[str]:
    """Returns the raw features that the transformed ones are computed from."""
    # By the layer's public side it takes a call for each raw feature, without it, to learn this.
    loader = transform._saved_model_loader
    sources = {id(tensor) for name in transformed for tensor in loader._output_to_inputs_map[name]}
    return {
        name
        for name, tensor in loader._structured_inputs.items()
        if any(id(part) in sources for part in tf.nest.flatten(tensor, expand_composites=True))
    }


def _optional(spec: FeatureSpec) -> FeatureSpec:
    """Returns the spec of a feature that examples may lack."""
    if isinstance(spec, tf.io.VarLenFeature):
        return spec
    missing: Any = "" if spec.dtype == tf.string else -1 if spec.dtype.is_integer else math.nan
    return tf.io.FixedLenFeature(spec.shape, spec.dtype, np.full(spec.shape, missing).tolist())
