"""Holds a tf.function to the one trace that it should have.

A trace costs seconds, and an argument that changes its shape or type at every call costs them at
every call, in silence.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf


class RetraceError(RuntimeError):
    """A function was traced again; the message says which of its arguments changed."""


class TraceGuard:
    """Calls a tf.function, and fails when a call makes it trace once more than expected.

    Args:
        name: of the function, for the message.
        allowed: traces that are expected.
    """

    def __init__(self, function: Any, name: str, allowed: int = 1) -> None:
        self._function = function
        self._name = name
        self._allowed = allowed
        self._first: list[str] | None = None

    def __call__(self, *arguments: Any) -> Any:
        described = [_describe(argument) for argument in arguments]
        result = self._function(*arguments)
        traces = self._function.experimental_get_tracing_count()
        if traces > self._allowed and self._first is not None:
            changed = [
                f"argument {index}: {before} became {now}"
                for index, (before, now) in enumerate(
                    zip(self._first, described, strict=True), start=1
                )
                if before != now
            ]
            raise RetraceError(
                f"{self._name} was traced {traces} times; expected {self._allowed}: "
                + ("; ".join(changed) or "no argument changed: Python state that it reads did")
            )
        self._first = self._first or described
        return result


def _describe(argument: Any) -> str:
    """Returns what tracing goes by: the type, shape and dtype of an argument, or its value."""
    element = getattr(argument, "element_spec", None)
    if element is not None:
        return f"iterator of {element}"
    if isinstance(argument, (tf.Tensor, tf.Variable)):
        return f"{argument.dtype.name}{argument.shape}"
    return f"{type(argument).__name__} {argument!r}"
