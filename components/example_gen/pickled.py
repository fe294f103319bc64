"""Arrays of bytes out of pickles that others wrote.

A pickle is a program: it names functions and has them called. This reader looks none up. For the
few names that an array needs it puts something that only notes down what it would be called with,
any other name ends the reading; the array is then made of the noted bytes, not by the pickle.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from typing import Any

import numpy as np

_ENCODE = ("_codecs", "encode")
_RECONSTRUCT, _FROM_BUFFER, _DTYPE = "_reconstruct", "_frombuffer", "dtype"
# numpy.core is called numpy._core from NumPy 2 on.
_NAMES = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy.core.numeric", "_frombuffer"),
    ("numpy._core.numeric", "_frombuffer"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
}


class PickleError(ValueError):
    """A pickle that does not hold what it should; the text says what was found."""


class Call:
    """What a pickle wants called, with what arguments, and the state that it gives the result."""

    __slots__ = ("arguments", "name", "state")

    def __init__(self, name: str, arguments: tuple[Any, ...]) -> None:
        self.name = name
        self.arguments = arguments
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Name:
    """A name that a pickle may use; called, it notes that down."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, *arguments: Any) -> Call:
        return Call(self._name, arguments)


class _Encode:
    """`_codecs.encode` as pickles of Python 3 use it, for bytes in a protocol without them."""

    __slots__ = ()

    def __call__(self, text: Any, encoding: Any) -> bytes:
        if not isinstance(text, str) or encoding != "latin1":
            raise pickle.UnpicklingError("an encoding other than of bytes")
        return text.encode("latin1")


class _Unpickler(pickle.Unpickler):
    """Builds lists, dicts, texts and numbers; of names it knows those of an array alone."""

    def find_class(self, module: str, name: str) -> Any:
        """Returns a stand-in for a name; overridden, as nothing may be looked up.

        Raises:
            UnpicklingError: if an array does not need it.
        """
        if (module, name) == _ENCODE:
            return _Encode()
        if (module, name) in _NAMES:
            return _Name(name)
        raise pickle.UnpicklingError(
            f"a pickle that would call {f'{module}.{name}'!r:.100}, which is not run"
        )


def load(content: bytes) -> Any:
    """Returns what a pickle holds; strings of Python 2 as bytes, arrays for `bytes_array`.

    Raises:
        PickleError: if it cannot be read, or names what no array needs.
    """
    try:
        _check_places(content)
        return _Unpickler(io.BytesIO(content), encoding="bytes").load()
    except pickle.UnpicklingError as error:
        raise PickleError(str(error)) from None
    except Exception as error:  # whatever a damaged or a hostile one leads to
        raise PickleError(f"no pickle that can be read ({type(error).__name__}: {error})") from None


def _check_places(content: bytes) -> None:
    """Looks at the places that a pickle keeps objects in: a table is made that has the last one.

    Raises:
        UnpicklingError: if one is further on than there are bytes to fill those before it.
    """
    for opcode, place, _ in pickletools.genops(content):
        if opcode.name in ("PUT", "LONG_BINPUT") and place is not None and place > len(content):
            raise pickle.UnpicklingError(f"a pickle of {len(content)} bytes with {place} places")


def bytes_array(value: Any) -> np.ndarray:
    """Returns the array of uint8 that `load` noted down.

    Raises:
        PickleError: if it is another thing, or its bytes do not fill its shape.
    """
    try:
        shape, dtype, in_columns, content = _parts(value)
        code = dtype.arguments[0]
        sizes = [size for size in shape if type(size) is int and size >= 0]
        whole = isinstance(content, (bytes, bytearray)) and isinstance(dtype, Call)
    except (AttributeError, IndexError, TypeError, ValueError):
        raise PickleError(f"a {type(value).__name__} that is no array") from None
    if not whole or dtype.name != _DTYPE or code not in ("u1", b"u1") or len(sizes) != len(shape):
        raise PickleError("an array of other than uint8")
    if int(np.prod(sizes, dtype=object)) != len(content):
        raise PickleError(f"{len(content)} bytes for an array {sizes}")
    return np.frombuffer(content, np.uint8).reshape(sizes, order="F" if in_columns else "C")


def _parts(value: Any) -> tuple[Any, Any, Any, Any]:
    """Returns shape, dtype, whether columns lie together, and bytes of a noted array."""
    if value.name == _RECONSTRUCT:
        _, shape, dtype, in_columns, content = value.state
        return shape, dtype, in_columns, content
    if value.name == _FROM_BUFFER:
        content, dtype, shape, order = value.arguments
        return shape, dtype, order == "F", content
    raise ValueError(value.name)
