"""Finds the source of a module without importing it, nor the packages that it lies in."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
from pathlib import Path


def find_module(name: str) -> Path | None:
    """Returns the .py file of a module, None if there is none.

    A package is its `__init__.py`; built-in and compiled modules and namespace packages have no
    source to find.
    """
    search: list[str] | None = None
    spec = None
    for depth, part in enumerate(parts := name.split("."), start=1):
        partial = ".".join(parts[:depth])
        if depth == 1:
            # Knows every kind of installation, editable ones too, and imports nothing yet.
            try:
                spec = importlib.util.find_spec(partial)
            except (ValueError, ImportError):
                return None
        else:
            try:
                spec = importlib.machinery.PathFinder.find_spec(partial, search)
            except KeyError:
                # A namespace package: Python wants the package around it imported.
                spec, search = None, [os.path.join(folder, part) for folder in search or ()]
                continue
        if spec is None:
            return None
        search = list(spec.submodule_search_locations or [])
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        return None
    return Path(spec.origin).resolve()
