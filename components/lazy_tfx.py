"""Leaves out what `tfx.components` imports and no pipeline here uses.

The package imports every component of TFX. InfraValidator brings Kubernetes' client, Tuner brings
KerasTuner and with it Keras 3 and matplotlib: more than two seconds in every process. Here the
package is empty until someone asks it for a name of its own; its modules are imported as ever.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

_PACKAGE = "tfx.components"


class _Package(ModuleType):
    """The package before its own code has run, which the first name asked for makes it do."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__all__":
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        loader = self.__loader__
        assert isinstance(loader, _Later)
        self.__class__ = ModuleType  # type: ignore[assignment]  # no second time
        loader.now.exec_module(self)
        return getattr(self, name)


class _Later(Loader):
    """Makes the package, and leaves its code to be run by `now`."""

    def __init__(self, now: Loader) -> None:
        self.now = now

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Package(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Runs nothing."""


class _Finder(MetaPathFinder):
    """Finds the one package."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != _PACKAGE:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Later(spec.loader)
        return spec


def install() -> None:
    """Has the package imported this way, if it has not been imported yet."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
