"""A row of data to ask about, where it came from, and what reads them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from pipeline.config_file import ConfigError, Problem
from serving.client.metadata import Signature


class Cell(str):
    """Text of a CSV file, which means what the input that it is for takes."""

    __slots__ = ()


@dataclass(frozen=True)
class Row:
    """One row.

    Attributes:
        source: its file.
        position: where in the file, `row 3`; "" if it is the whole of it.
        features: by name; bytes are bytes.
        shown: what an answer to it begins with, so that it can be told from others.
    """

    source: str
    position: str
    features: Mapping[str, Any]
    shown: Mapping[str, Any]

    def refused(self, field: str, found: str, allowed: str) -> ConfigError:
        """Returns the error of a field of this row."""
        key = f"{self.position}: {field}" if self.position else field
        return ConfigError(Problem(self.source, key, found, allowed))


class Rows(Protocol):
    """Rows to be read, once.

    Attributes:
        total: how many there are, None if that is known only after reading them.
    """

    total: int | None

    def read(self, signature: Signature) -> Iterator[Row]:
        """Yields the rows, with the features that a signature asks for.

        Raises:
            ConfigError: at the first that cannot be read.
        """
        ...


def only_input(signature: Signature, source: str, what: str) -> str:
    """Returns the name of a signature's one input.

    Raises:
        ConfigError: if it has several.
    """
    if len(signature.inputs) != 1:
        found = f"a signature with the inputs {', '.join(signature.inputs) or 'none'}"
        raise ConfigError(Problem(source, what, found, "a signature with one input"))
    return next(iter(signature.inputs))
