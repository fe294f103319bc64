"""Configurations to get wrong, and folders to look into."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

WriteConfig = Callable[..., Path]
Contents = dict[str, bytes | None]


@pytest.fixture
def write_config(tmp_path: Path, repository: Path) -> WriteConfig:
    """Writes the ready digits configuration, with some keys changed, as `run.yaml`."""

    def write(changes: Mapping[str, Any] | None = None, name: str = "run.yaml") -> Path:
        values = yaml.safe_load((repository / "configs" / "digits.yaml").read_text())
        for dotted, value in (changes or {}).items():
            *sections, key = dotted.split(".")
            inner = values
            for section in sections:
                inner = inner.setdefault(section, {})
            inner[key] = value
        path = tmp_path / name
        path.write_text(yaml.safe_dump(values, sort_keys=False))
        return path

    return write


@pytest.fixture(scope="session")
def tree() -> Callable[[Path], Contents]:
    """Returns everything under a folder: files with their bytes, folders with None."""

    def read(folder: Path) -> Contents:
        return {
            str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
            for path in sorted(folder.rglob("*"))
        }

    return read
