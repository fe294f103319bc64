"""Holds a tf.function to the one trace that it should have.

A trace costs seconds, and an argument that changes its shape or type at every call costs them at
every call, in silence.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

_ABSENT = "absent"


class RetraceError(RuntimeError):
    """A function was traced again; the message says which of its arguments changed."""


class TraceGuard:
    """Calls a tf.function, and fails when a call makes it trace once more than expected.

    Where functions run eagerly there are no traces, and nothing to hold them to.

    Args:
        name: of the function, for the message.
        allowed: traces that are expected.
    """

    def __init__(self, function: Any, name: str, allowed: int = 1) -> None:
        self._function = function
        self._name = name
        self._allowed = allowed
        self._traces = 0
        self._first: dict[str, str] = {}

    def __call__(self, *arguments: Any) -> Any:
        """Calls the function.

        Raises:
            RetraceError: if that traced it, and it had been traced as often as is expected.
        """
        if not self._first:
            self._first = _describe_all(arguments)
        result = self._function(*arguments)
        traces = self._function.experimental_get_tracing_count()
        if traces == self._traces:
            return result
        before, self._traces = self._traces, traces
        if traces > self._allowed and before > 0:
            raise RetraceError(self._message(_describe_all(arguments)))
        return result

    def _message(self, now: Mapping[str, str]) -> str:
        changed = [
            f"{name} was {self._first.get(name, _ABSENT)} at the first call and is "
            f"{now.get(name, _ABSENT)} now"
            for name in dict.fromkeys((*self._first, *now))
            if self._first.get(name) != now.get(name)
        ]
        return f"{self._name}: found {self._traces} traces; allowed: {self._allowed}; " + (
            "; ".join(changed) or "no argument changed: Python state that it reads did"
        )


def _describe_all(arguments: tuple[Any, ...]) -> dict[str, str]:
    """Returns what tracing goes by, for each part of each argument."""
    found: dict[str, str] = {}
    for number, argument in enumerate(arguments, start=1):
        spec = getattr(argument, "element_spec", None)
        name = f"argument {number}"
        if spec is None:
            _describe(name, argument, found)
        else:
            _describe(f"{name} (elements of the iterator)", spec, found)
    return found


def _describe(name: str, value: Any, found: dict[str, str]) -> None:
    """Adds the type, shape and dtype of a value, or the value itself where it is Python's."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            _describe(f"{name}[{key!r}]", inner, found)
    elif isinstance(value, (list, tuple)):
        for place, inner in enumerate(value):
            _describe(f"{name}[{place}]", inner, found)
    elif isinstance(value, (tf.Tensor, tf.Variable, tf.TensorSpec)):
        found[name] = f"{value.dtype.name} {value.shape}"
    elif isinstance(value, tf.TypeSpec):
        found[name] = str(value)
    else:
        found[name] = f"the {type(value).__name__} {value!r}, which a tensor would spare"
