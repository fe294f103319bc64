"""A SavedModel loaded the way TF Serving loads it: a V1 session, the main op run, no Python."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf


class InvalidRequest(ValueError):
    """A request that does not fit the signature it is for."""


class InvalidModel(RuntimeError):
    """A folder that does not hold a SavedModel that a server could load."""


class SavedModelSession:
    """The signatures of a SavedModel, ready to run.

    `tf.saved_model.load` restores Python objects as well and so accepts models that TF Serving
    cannot run; this does not.

    Raises:
        InvalidModel: if it does not load.
    """

    def __init__(self, folder: Path) -> None:
        graph = tf.Graph()
        self._session = tf.compat.v1.Session(graph=graph)
        try:
            with graph.as_default():
                loaded = tf.compat.v1.saved_model.load(self._session, ["serve"], str(folder))
        except (OSError, RuntimeError, ValueError, tf.errors.OpError) as error:
            raise InvalidModel(f"{type(error).__name__}: {error}") from error
        self.signatures: dict[str, Any] = {
            name: signature
            for name, signature in loaded.signature_def.items()
            if name != "__saved_model_init_op"
        }

    def run(self, signature: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Runs a signature on a batch.

        Args:
            inputs: one array an input, the batch first.

        Raises:
            InvalidRequest: if there is no such signature, or the inputs differ from it in names,
                types or shapes.
        """
        definition = self.signature(signature)
        checked = self._checked(definition, inputs)
        # By name: the order of a protobuf's map differs from load to load.
        fetches = {name: definition.outputs[name].name for name in sorted(definition.outputs)}
        feeds = {definition.inputs[name].name: value for name, value in checked.items()}
        return self._session.run(fetches, feeds)

    def signature(self, name: str) -> Any:
        """Returns the SignatureDef of that name."""
        if name not in self.signatures:
            raise InvalidRequest(
                f"signature: found {name!r}; allowed: {', '.join(sorted(self.signatures))}"
            )
        return self.signatures[name]

    @staticmethod
    def _checked(definition: Any, inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Returns the inputs as arrays of the signature's types.

        TensorFlow aborts the process on some shapes that do not fit, so all is checked before.
        """
        if set(inputs) != set(definition.inputs):
            missing = sorted(set(definition.inputs) - set(inputs))
            unknown = sorted(set(inputs) - set(definition.inputs))
            raise InvalidRequest(
                f"inputs: missing {missing or 'none'}, unknown {unknown or 'none'}; "
                f"allowed: exactly {sorted(definition.inputs)}"
            )
        checked = {}
        for name, info in definition.inputs.items():
            dtype = tf.dtypes.as_dtype(info.dtype)
            shape = tf.TensorShape(info.tensor_shape)
            try:
                value = _as_array(inputs[name], dtype)
            except (ValueError, TypeError, OverflowError) as error:
                raise InvalidRequest(
                    f"{name}: found {_short(inputs[name])}; allowed: {dtype.name} of shape {shape}"
                ) from error
            if not shape.is_compatible_with(value.shape):
                raise InvalidRequest(
                    f"{name}: found shape {list(value.shape)}; allowed: {dtype.name} of shape "
                    f"{shape}, the batch first"
                )
            checked[name] = value
        sizes = {name: len(value) for name, value in checked.items() if value.ndim > 0}
        if len(set(sizes.values())) > 1:
            raise InvalidRequest(f"inputs: found batches of different sizes: {sizes}")
        return checked


def _as_array(value: Any, dtype: tf.DType) -> np.ndarray:
    """Returns `value` as an array of `dtype`, if that loses nothing.

    NumPy alone would make NaN of None, 1 of 1.7 where integers are wanted, and infinity of what is
    too large; and it would cut the zero bytes at the end of a serialized message.

    Raises:
        ValueError, TypeError, OverflowError: if it is ragged, or of another kind.
    """
    if dtype == tf.string:
        texts = np.asarray(value, dtype=object)
        if any(not isinstance(item, (str, bytes)) for item in texts.reshape(-1).tolist()):
            raise TypeError("not text")
        return texts
    found = np.asarray(value)
    if found.size and found.dtype.kind not in _kinds(dtype) and found.dtype != dtype.as_numpy_dtype:
        raise TypeError(f"{found.dtype} is not {dtype.name}")
    with np.errstate(over="ignore"):
        converted = found.astype(dtype.as_numpy_dtype)
    if dtype.is_integer:
        is_kept = np.array_equal(converted, found)
    else:
        is_kept = np.array_equal(np.isfinite(converted), np.isfinite(found))
    if found.size and not is_kept:
        raise OverflowError(f"out of the range of {dtype.name}")
    return converted


def _kinds(dtype: tf.DType) -> str:
    """Returns the NumPy kinds of values that a tensor of `dtype` takes."""
    if dtype.is_bool:
        return "b"
    if dtype.is_integer:
        return "iu"
    return "cfiu" if dtype.is_complex else "fiu"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
