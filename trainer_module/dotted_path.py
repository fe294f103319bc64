"""Objects of a user's own, which a configuration names by dotted path."""

from __future__ import annotations

import importlib
from typing import Any

from trainer_module.config import NamedConfig


def load_object(key: str, path: str) -> Any:
    """Returns what a dotted path names.

    Raises:
        ValueError: naming `key`, if it cannot be imported.
    """
    module, _, name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"{key}: found {path!r} ({error}); allowed: a dotted path") from error


def make_object(key: str, section: NamedConfig) -> Any:
    """Makes an object of the class that a section names, with its options.

    Raises:
        ValueError: naming the key, if there is no such class, or it does not take the options.
    """
    made = load_object(f"{key}.name", section.name)
    try:
        return made(**section.options)
    except TypeError as error:
        raise ValueError(
            f"{key}.options: found {section.options} ({error}); allowed: arguments of "
            f"{section.name}"
        ) from error
