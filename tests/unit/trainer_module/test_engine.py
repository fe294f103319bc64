"""What the engine builds, and the tasks that it refuses before any work goes into them."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip
import tf_keras as keras  # isort: skip

from trainer_module.tasks.base import RESERVED_SIGNATURES, Classification, Signature  # isort: skip
from trainer_module.tasks.digits import Digits  # isort: skip


def test_model_when_built_twice_in_a_process_then_names_variables_the_same(build_small):
    class Unnamed(Digits):
        """Leaves the naming of a layer to Keras."""

        def build_model(self, feature_spec: Mapping) -> keras.Model:
            image = keras.Input((8, 8, 1), name="image")
            x = keras.layers.Dense(2)(keras.layers.Flatten()(image))
            outputs = {"class": keras.layers.Dense(10)(x), "attribute": x, "embedding": x}
            return keras.Model({"image": image}, outputs)

    names = [
        [variable.name for variable in build_small(Unnamed()).state.model.variables]
        for _ in range(2)
    ]
    assert names[0] == names[1]
    assert "dense/kernel:0" in names[0]


class Incomplete(Digits):
    """A task whose model or serving lacks an output."""

    def __init__(self, lacks: str) -> None:
        super().__init__(filters=4, embedding=8)
        self._lacks = lacks

    def build_model(self, feature_spec: Mapping) -> keras.Model:
        model = super().build_model(feature_spec)
        outputs = {name: value for name, value in model.output.items() if name != self._lacks}
        return keras.Model(model.input, outputs)

    def serving_outputs(self, outputs: Mapping) -> dict[str, tf.Tensor]:
        served = super().serving_outputs(outputs)
        return {name: value for name, value in served.items() if name != self._lacks}


@pytest.mark.parametrize("lacks", ["embedding", "class"])
def test_engine_when_the_model_lacks_an_output_then_names_those_expected(build_small, lacks):
    found = sorted({"attribute", "class", "embedding"} - {lacks})
    with pytest.raises(ValueError, match=re.escape(f"found {found}; expected a dict of")):
        build_small(Incomplete(lacks))


def test_engine_when_serving_lacks_what_evaluation_compares_then_names_it(build_small):
    with pytest.raises(ValueError, match=r"serving_outputs: .*\['probabilities'\]"):
        build_small(Incomplete("probabilities"))


@pytest.mark.parametrize("name", RESERVED_SIGNATURES)
def test_engine_when_a_signature_has_a_reserved_name_then_is_refused(build_small, name):
    class Colliding(Digits):
        def signatures(self, model: keras.Model) -> Mapping[str, Signature]:
            return {name: Signature(lambda rows: {"rows": rows}, {"rows": np.zeros([1])})}

    with pytest.raises(ValueError, match=f"signatures: found {name}; allowed: other names"):
        build_small(Colliding(filters=4, embedding=8))


NAMES = tf.constant([["no", "yes"]])


@pytest.mark.parametrize(
    ("classes", "scores"),
    [
        pytest.param(NAMES, tf.ones([1, 3]), id="more scores than classes"),
        pytest.param(NAMES[0], tf.ones([2]), id="no rows"),
        pytest.param(NAMES, tf.ones([1, 2], tf.float64), id="float64 scores"),
        pytest.param(tf.constant([[0, 1]]), tf.ones([1, 2]), id="numbers for classes"),
        pytest.param(tf.tile(NAMES, [2, 1]), tf.ones([2, 2]), id="another number of rows"),
    ],
)
def test_engine_when_a_classification_has_not_the_form_of_classify_then_is_refused(
    build_small, classes, scores
):
    class Misshapen(Digits):
        def classification(self, outputs: Mapping) -> Classification:
            return Classification(classes, scores)

    with pytest.raises(ValueError, match=r"classification: found classes .*both of shape \[b, n\]"):
        build_small(Misshapen(filters=4, embedding=8))


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(tf.ones([1, 1]), id="a column"),
        pytest.param(tf.ones([1], tf.int64), id="integers"),
        pytest.param(tf.ones([]), id="a scalar"),
    ],
)
def test_engine_when_a_regression_has_not_the_form_of_regress_then_is_refused(build_small, value):
    class Misshapen(Digits):
        def regression(self, outputs: Mapping) -> tf.Tensor:
            return value

    with pytest.raises(ValueError, match=r"regression: found .*; expected float32 of shape \[b\]"):
        build_small(Misshapen(filters=4, embedding=8))
