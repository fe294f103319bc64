"""Rows of the data that a version was trained on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from pipeline.config_file import ConfigError, Problem
from pipeline.predict.rows import Row
from serving.client.metadata import Signature


class SampleRows:
    """The first rows of the data that a version was trained on, without the label.

    Raises:
        ConfigError: if the version does not say what it was trained on, or that is not there.
    """

    def __init__(self, version: Path, count: int) -> None:
        self._source = str(version)
        self._rows = sample_features(version, count)
        self.total: int | None = len(self._rows)

    def read(self, signature: Signature) -> Iterator[Row]:
        """Yields the rows, with all their features."""
        for number, features in enumerate(self._rows, start=1):
            yield Row(self._source, f"row {number}", features, {})


def sample_features(version: Path, count: int) -> list[Mapping[str, Any]]:
    """Returns the features of the first rows of the data that a version was trained on.

    Raises:
        ConfigError: if the version does not say what it was trained on, or that is not there.
    """
    from components.example_gen.config import DataConfig
    from components.example_gen.source import DataError
    from components.example_gen.sources import make_source
    from serving.versions import read_manifest

    key = "--sample"
    section = read_manifest(version).get("data", {})
    try:
        data: DataConfig = TypeAdapter(DataConfig).validate_python(section)
    except ValidationError as error:
        allowed = "a version that says what it was trained on; or ROWS instead"
        raise ConfigError(Problem(str(version), key, f"data {section}", allowed)) from error
    try:
        rows = make_source(data).sample(count)
    except DataError as error:
        found, _, allowed = str(error).partition("; allowed: ")
        allowed += "; or ROWS instead, where the data are not at hand"
        raise ConfigError(Problem(str(version), key, found, allowed)) from error
    return [{name: value for name, value in row.items() if name != data.label} for row in rows]
