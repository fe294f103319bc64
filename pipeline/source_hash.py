"""Hashes of the source behind dotted paths, so that a cache notices when code changes.

The hash of a module covers its own source and, transitively, the modules of the project that it
imports by an import statement; libraries count by their versions, which `library_versions` gives.
Comments, docstrings and layout do not count. The packages that a module lies in count by their
own source alone: what a package's `__init__` imports for its other modules is not what this one
depends on. What is imported by a computed name is not seen: give that path too.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from pipeline.modules import find_module

_LIBRARIES = (
    "numpy",
    "scikit-learn",
    "tensorflow",
    "tensorflow-model-analysis",
    "tensorflow-transform",
    "tf-keras",
    "tfx",
)
_LIBRARY_FOLDERS = tuple(
    Path(sysconfig.get_path(name)).resolve()
    for name in ("stdlib", "platstdlib", "purelib", "platlib")
)


def source_hash(*modules: str) -> str:
    """Returns a hash of the source of the named modules and of what they import.

    Nothing is imported to find out.

    Raises:
        ModuleNotFoundError: if a named module cannot be found.
    """
    sources: dict[str, str] = {}
    followed: set[str] = set()
    for module in modules:
        if find_module(module) is None:
            raise ModuleNotFoundError(f"no module {module!r} on the Python path", name=module)
        _collect(module, module.partition(".")[0], sources, followed)
    versions = " ".join(f"{name}={version}" for name, version in library_versions().items())
    digest = hashlib.sha256(versions.encode())
    for name in sorted(sources):
        digest.update(f"{name}\0{sources[name]}\0".encode())
    return digest.hexdigest()[:16]


def library_versions() -> dict[str, str]:
    """Returns the versions of the libraries that decide what the code computes, by name."""
    return {name: importlib.metadata.version(name) for name in _LIBRARIES}


def _collect(module: str, root_package: str, sources: dict[str, str], followed: set[str]) -> None:
    """Adds the source of a module, of its packages, and of what it imports to `sources`."""
    path = _project_file(module, root_package)
    if module in followed or path is None:
        return
    followed.add(module)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = list(_imports(tree, module, is_package=path.name == "__init__.py"))
    sources[module] = _normalized(tree)
    for package in _parents(module):
        parent = _project_file(package, root_package)
        if parent is not None and package not in sources:
            sources[package] = _normalized(ast.parse(parent.read_text(encoding="utf-8")))
    for name in imported:
        _collect(name, root_package, sources, followed)


def _parents(module: str) -> Iterator[str]:
    parts = module.split(".")
    for depth in range(1, len(parts)):
        yield ".".join(parts[:depth])


def _project_file(module: str, root_package: str) -> Path | None:
    """Returns a module's file; None for a library, a built-in, and what is not a module."""
    path = find_module(module)
    if path is None:
        return None
    in_library = any(folder in path.parents for folder in _LIBRARY_FOLDERS)
    if in_library and module.partition(".")[0] != root_package:
        return None
    return path


def _imports(tree: ast.Module, module: str, is_package: bool) -> Iterator[str]:
    """Yields the names that may be modules among what a module imports."""
    package = module if is_package else module.rpartition(".")[0]
    for node in _run_time_nodes(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, base] if base else above)
            names = [f"{base}.{alias.name}" for alias in node.names]
            modules = [name for name in names if find_module(name) is not None]
            yield from modules
            # What is no module of its own comes out of the package's `__init__`.
            if len(modules) < len(names):
                yield base


def _run_time_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Walks a tree, past what only type checkers read."""
    yield node
    children = ast.iter_child_nodes(node)
    if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
        is_negated = isinstance(node.test, ast.UnaryOp)
        children = iter(node.body if is_negated else node.orelse)
    for child in children:
        yield from _run_time_nodes(child)


def _normalized(tree: ast.Module) -> str:
    """Returns a module's syntax tree as text, without docstrings."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(tree):
        if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    return ast.dump(tree)
