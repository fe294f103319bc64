"""The label as an expression of other columns, such as `tips > 0.2 * fare`.

A small part of Python's expressions over whole columns: arithmetic, comparisons, `and`, `or`,
`not`, numbers, texts and names of columns, `col("...")` for a name that Python would not take.
Nothing else is read, so that a configuration cannot run code.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

_BINARY: Mapping[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_COMPARE: Mapping[type, Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_ALLOWED = (
    'columns, col("a column with any name"), numbers, texts, + - * / // %, < <= > >= == !=, '
    "and, or, not"
)


class Expression:
    """An expression over columns.

    Attributes:
        columns: that it reads, in the order in which they are named.

    Raises:
        ValueError: if the text is no such expression; says what is allowed.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        try:
            self._tree = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise ValueError(f"found {text!r}, which is none ({error}); allowed: {_ALLOWED}") from (
                None
            )
        self.columns: list[str] = []
        self._check(self._tree)
        self.columns = list(dict.fromkeys(self.columns))
        if not self.columns:
            raise ValueError(f"found {text!r}, which names no column; allowed: {_ALLOWED}")

    def evaluate(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """Returns the value for each row, [rows] bool, int64, float64 or object (texts).

        Args:
            values: columns [rows]; int64, float64, or object for texts.

        Raises:
            TypeError: if the operators do not go with the columns, as with a text less a number.
        """
        with np.errstate(all="ignore"):
            found = np.asarray(self._value(self._tree, values))
        return np.broadcast_to(found, (len(next(iter(values.values()))),))

    def _check(self, node: ast.AST) -> None:
        if isinstance(node, ast.Name):
            self.columns.append(node.id)
        elif _is_column_call(node):
            self.columns.append(node.args[0].value)  # type: ignore[attr-defined]
        elif isinstance(node, ast.Constant) and type(node.value) in (int, float, str, bool):
            return
        elif isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
            self._check(node.left)
            self._check(node.right)
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd, ast.Not)):
            self._check(node.operand)
        elif isinstance(node, ast.BoolOp):
            for value in node.values:
                self._check(value)
        elif isinstance(node, ast.Compare) and all(type(op) in _COMPARE for op in node.ops):
            for value in (node.left, *node.comparators):
                self._check(value)
        else:
            part = ast.get_source_segment(self._text.strip(), node) or self._text
            raise ValueError(f"found {part!r} in it; allowed: {_ALLOWED}")

    def _value(self, node: ast.AST, values: Mapping[str, np.ndarray]) -> Any:
        if isinstance(node, ast.Name):
            return values[node.id]
        if isinstance(node, ast.Call):
            return values[node.args[0].value]  # type: ignore[attr-defined]
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.BinOp):
            left, right = self._value(node.left, values), self._value(node.right, values)
            return _BINARY[type(node.op)](left, right)
        if isinstance(node, ast.UnaryOp):
            operand = self._value(node.operand, values)
            if isinstance(node.op, ast.Not):
                return np.logical_not(operand)
            return -operand if isinstance(node.op, ast.USub) else operand
        if isinstance(node, ast.BoolOp):
            parts = [self._value(value, values) for value in node.values]
            join = np.logical_and if isinstance(node.op, ast.And) else np.logical_or
            return join.reduce(np.broadcast_arrays(*parts))
        assert isinstance(node, ast.Compare), "all other nodes were refused"
        sides = [self._value(value, values) for value in (node.left, *node.comparators)]
        pairs = zip(node.ops, sides, sides[1:], strict=False)
        return np.logical_and.reduce(
            np.broadcast_arrays(*(_COMPARE[type(op)](left, right) for op, left, right in pairs))
        )


def _is_column_call(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "col"
        and len(node.args) == 1
        and not node.keywords
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
    )
