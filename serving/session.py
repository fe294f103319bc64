"""A SavedModel loaded the way TF Serving loads it: a V1 session, the main op run, no Python."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2

from serving.array_values import as_array
from serving.saved_model_graph import SERVE_TAG, for_requests
from serving.signatures import InvalidRequest, Signature

__all__ = ["InvalidModel", "InvalidRequest", "SavedModelSession"]


class InvalidModel(RuntimeError):
    """A folder that does not hold a SavedModel that a server could load."""


class SavedModelSession:
    """The signatures of a SavedModel, ready to run.

    `tf.saved_model.load` restores Python objects as well and so accepts models that TF Serving
    cannot run; this does not.

    Args:
        intra_op_threads: threads of one op; 0 for as many as there are cores.

    Raises:
        InvalidModel: if it does not load.
    """

    def __init__(self, folder: Path, intra_op_threads: int = 0) -> None:
        # Ops run on the caller's thread: handing them to a pool costs more than most of them do.
        config = tf.compat.v1.ConfigProto(
            inter_op_parallelism_threads=-1,
            intra_op_parallelism_threads=intra_op_threads,
            allow_soft_placement=True,
        )
        graph = tf.Graph()
        self._session = tf.compat.v1.Session(graph=graph, config=config)
        try:
            with graph.as_default():
                loaded = tf.compat.v1.saved_model.load(self._session, [SERVE_TAG], str(folder))
        except (OSError, RuntimeError, ValueError, tf.errors.OpError) as error:
            self._session.close()
            raise InvalidModel(f"{type(error).__name__}: {error}") from error
        self.signatures: dict[str, Any] = for_requests(loaded.signature_def)

    def run(self, signature: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Runs a signature on a batch.

        Args:
            inputs: one array an input, the batch first.

        Raises:
            InvalidRequest: if there is no such signature, or the inputs differ from it in names,
                types or shapes.
        """
        definition = Signature.from_proto(signature, self.signature(signature))
        arrays = _checked(definition, inputs)
        fetches = {spec.alias: spec.tensor for spec in definition.outputs}
        feeds = {spec.tensor: array for spec, array in zip(definition.inputs, arrays, strict=True)}
        return self._session.run(fetches, feeds)

    def compiled(
        self, signature: Signature, outputs: Collection[str] | None = None
    ) -> Callable[[Sequence[np.ndarray]], list[np.ndarray]]:
        """Returns a function of a signature's inputs that checks nothing; many threads may call it.

        Args:
            outputs: aliases of the outputs it computes, all of them unless given.

        Returns:
            From the inputs to the outputs, both in the signature's order.
        """
        fetched = [spec for spec in signature.outputs if outputs is None or spec.alias in outputs]
        options = config_pb2.CallableOptions(
            feed=[spec.tensor for spec in signature.inputs],
            fetch=[spec.tensor for spec in fetched],
        )
        # The public make_callable goes by Session::Run, which looks the graph up by names in every
        # call; this is Session::RunCallable, where a call costs a tenth of that.
        call = self._session._make_callable_from_options(options)
        dtypes = [spec.dtype for spec in fetched]

        def run(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
            # A scalar comes back bare, and NumPy alone would cut the zeros at the end of bytes.
            return [
                value if isinstance(value, np.ndarray) else np.array(value, dtype)
                for value, dtype in zip(call(*arrays), dtypes, strict=True)
            ]

        return run

    def close(self) -> None:
        """Frees the variables and the tables; no call may be running."""
        self._session.close()

    def signature(self, name: str) -> Any:
        """Returns the SignatureDef of that name."""
        if name not in self.signatures:
            raise InvalidRequest(
                f"signature: found {name!r}; allowed: {', '.join(sorted(self.signatures))}"
            )
        return self.signatures[name]


def _checked(signature: Signature, inputs: Mapping[str, Any]) -> list[np.ndarray]:
    """Returns the inputs as arrays of the signature's types, in its order."""
    aliases = {spec.alias for spec in signature.inputs}
    if set(inputs) != aliases:
        missing = sorted(aliases - set(inputs))
        unknown = sorted(set(inputs) - aliases)
        raise InvalidRequest(
            f"inputs: missing {missing or 'none'}, unknown {unknown or 'none'}; "
            f"allowed: exactly {sorted(aliases)}"
        )
    arrays = []
    for spec in signature.inputs:
        found = inputs[spec.alias]
        try:
            array = as_array(found, spec.dtype)
        except (ValueError, TypeError, OverflowError) as error:
            raise InvalidRequest(f"{spec.alias}: found {_short(found)}; allowed: {spec}") from error
        if not spec.fits(array.shape):
            raise InvalidRequest(
                f"{spec.alias}: found shape {list(array.shape)}; allowed: {spec}, the batch first"
            )
        arrays.append(array)
    sizes = signature.batch_sizes(arrays)
    if len(set(sizes.values())) > 1:
        raise InvalidRequest(f"inputs: found batches of different sizes: {sizes}")
    return arrays


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
