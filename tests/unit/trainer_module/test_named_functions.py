"""Signatures have inputs of any names, in memory and as a server sees them."""

from __future__ import annotations

import numpy as np
import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip

from serving.client.metadata import read_signatures  # isort: skip
from serving.session import SavedModelSession  # isort: skip
from trainer_module.named_functions import NamedFunction, name_inputs  # isort: skip

ODD = [
    *("größe (cm)", "a b", "a_b", "a/b", "a.b", "A_b", "_x", "self", "a\\b", "a\nb", '"', "日本"),
    *("a:0", "🙂", " ", "input_0", "input_3", "name", "class", "1", "x" * 300),
]  # fmt: skip


def _weighted(names: list[str], nullable: tuple[str, ...] = ()) -> NamedFunction:
    """Returns a function that tells its inputs apart."""

    def body(tensors: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return {"sum": sum((number + 1) * tensors[name] for number, name in enumerate(names))}

    spec = tf.TensorSpec([None], tf.float32)
    return NamedFunction(body, dict.fromkeys(names, spec), nullable)


def _save(functions: dict[str, NamedFunction], folder) -> None:
    signatures = {name: function.function for name, function in functions.items()}
    tf.saved_model.save(tf.Module(), str(folder), signatures=signatures)
    name_inputs(str(folder / "saved_model.pb"), functions)


@pytest.mark.parametrize("names", [ODD, ["größe (cm)"], ["self"], ["a\\b"], ["🙂"]], ids=len)
def test_inputs_when_named_at_will_then_a_server_takes_them_by_these_names(names, tmp_path):
    function = _weighted(names)
    _save({"raw": function}, tmp_path)
    inputs = {name: np.array([10.0**-i], np.float32) for i, name in enumerate(names)}
    expected = sum((number + 1) * inputs[name] for number, name in enumerate(names))
    found = function(**{name: tf.constant(value) for name, value in inputs.items()})
    np.testing.assert_allclose(found["sum"], expected, rtol=1e-6)
    session = SavedModelSession(tmp_path)
    np.testing.assert_allclose(session.run("raw", inputs)["sum"], expected, rtol=1e-6)
    assert set(read_signatures(tmp_path)["raw"].inputs) == set(names)


def test_inputs_when_plain_then_are_called_so_in_python_too_and_else_by_number(tmp_path):
    functions = {"plain": _weighted(["b", "a"]), "odd": _weighted(["b c", "a"])}
    _save(functions, tmp_path)
    loaded = tf.saved_model.load(str(tmp_path)).signatures
    one, two = tf.constant([1.0]), tf.constant([2.0])
    assert loaded["plain"](b=one, a=two)["sum"].numpy().tolist() == [5.0]
    assert loaded["odd"](input_1=one, input_0=two)["sum"].numpy().tolist() == [5.0]


def test_inputs_when_nullable_then_the_metadata_say_so(tmp_path):
    _save({"raw": _weighted(["a", "b"], ("b",)), "other": _weighted(["a", "b"])}, tmp_path)
    found = read_signatures(tmp_path)
    assert {name: spec.nullable for name, spec in found["raw"].inputs.items()} == {
        "a": False,
        "b": True,
    }
    assert not any(spec.nullable for spec in found["other"].inputs.values())
