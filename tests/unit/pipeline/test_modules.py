"""Where a module's source is, found without importing anything."""

from __future__ import annotations

import sys
import uuid
from pathlib import Path

import pytest

from pipeline.modules import find_module


@pytest.fixture
def package(tmp_path, monkeypatch) -> str:
    """A package of its own name, with a namespace package in it that holds a module."""
    name = f"own_{uuid.uuid4().hex}"
    for path in ("__init__.py", "plain/__init__.py", "plain/a.py", "space/a.py", "space/deep/b.py"):
        file = tmp_path / name / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("raise RuntimeError('was run')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return name


@pytest.mark.parametrize("module", ["plain.a", "space.a", "space.deep.b"])
def test_find_when_a_module_is_in_a_package_with_or_without_init_then_is_its_file(
    module, package, tmp_path
) -> None:
    found = find_module(f"{package}.{module}")
    assert found == Path(tmp_path, package, *module.split(".")).with_suffix(".py")
    assert package not in sys.modules


@pytest.mark.parametrize("module", ["space", "space.deep", "space.no", "plain.no", "no.a"])
def test_find_when_there_is_no_such_file_then_is_none(module, package) -> None:
    assert find_module(f"{package}.{module}") is None
