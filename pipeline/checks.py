"""What is wrong with a run that its configuration alone does not show, found before any work.

The light checks import no TensorFlow; the task's own are made when the run has to import it
anyway. Neither writes anything.
"""

from __future__ import annotations

import ast
import importlib.machinery
import importlib.util
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.config import RunConfig
from pipeline.config_file import ConfigError, Problem
from trainer_module.tasks import SHORT_NAMES, dotted_path

if TYPE_CHECKING:
    from trainer_module.tasks.base import Task


def check_inputs(config: RunConfig, source: str) -> None:
    """Checks paths, data and the task's name; takes a fraction of a second.

    Args:
        source: file that the configuration came from, for the messages.

    Raises:
        ConfigError: with every mistake found.
    """
    problems = [
        *_folder_problems(source, "root", config.pipeline_root),
        *_folder_problems(source, "serve.root", config.serving_root),
        *_data_problems(source, config),
        *_task_problems(source, config.task.name),
    ]
    if problems:
        raise ConfigError(*problems)


def check_task(config: RunConfig, source: str) -> Task:
    """Imports and makes the task, and checks that the configuration and the data fit it.

    Raises:
        ConfigError: if the task does not import or does not take its options, a metric names a
            head that it lacks, or a split has too few rows.
    """
    from trainer_module.tasks import make_task

    try:
        task = make_task(config.task)
    except (ImportError, TypeError, ValueError) as error:
        name = dotted_path(config.task.name)
        raise ConfigError(
            Problem(
                source, "task", f"{name}: {error}", "a Task that imports and takes task.options"
            )
        ) from error
    heads = [head.name for head in task.heads]
    problems = _split_problems(config, source) + [
        Problem(source, f"evaluate.metrics.{index}.head", repr(metric.head), ", ".join(heads))
        for index, metric in enumerate(config.evaluate.metrics)
        if metric.head not in heads
    ]
    names = {"loss", *(f"loss/{head}" for head in heads)}
    names |= {f"{head.name}/{metric}" for head in task.heads for metric in head.metrics}
    if config.train.best.metric not in names:
        allowed = ", ".join(sorted(names))
        problems.append(
            Problem(source, "train.best.metric", repr(config.train.best.metric), allowed)
        )
    if problems:
        raise ConfigError(*problems)
    return task


def _folder_problems(source: str, key: str, folder: Path) -> list[Problem]:
    """Tries to make a folder where `folder` will be, and takes it back."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    allowed = "a folder that can be written"
    if not existing.is_dir():
        return [Problem(source, key, f"{existing}, which is a file", allowed)]
    try:
        os.rmdir(tempfile.mkdtemp(prefix=".tapeline-", dir=existing))
    except OSError as error:
        return [Problem(source, key, f"{existing}: {error.strerror}", allowed)]
    return []


def _data_problems(source: str, config: RunConfig) -> list[Problem]:
    from components.example_gen.sklearn_source import load_columns

    columns = load_columns(config.data.dataset, config.data.limit)
    problems = []
    if config.data.label not in columns:
        allowed = f"a column of {config.data.dataset}: {', '.join(columns)}"
        problems.append(Problem(source, "data.label", repr(config.data.label), allowed))
    problems += [
        Problem(
            source,
            f"evaluate.slices.{index}",
            repr(name),
            f"a column of {config.data.dataset}: {', '.join(columns)}",
        )
        for index, name in enumerate(config.evaluate.slices)
        if name not in columns
    ]
    return problems


def _split_problems(config: RunConfig, source: str) -> list[Problem]:
    from components.example_gen.executor import split_counts

    counts = split_counts(config.data)
    rows = sum(counts.values())
    problems = [
        Problem(
            source, "data", f"0 of {rows} rows in split {split!r}", "a row or more in each split"
        )
        for split, count in counts.items()
        if count == 0
    ]
    if 0 < counts["train"] < config.train.batch_size:
        allowed = f"at most the {counts['train']} rows of the train split"
        problems.append(Problem(source, "train.batch_size", str(config.train.batch_size), allowed))
    return problems


def _task_problems(source: str, name: str) -> list[Problem]:
    """Finds a task's class without importing it, since its module imports TensorFlow."""
    allowed = f"{', '.join(SHORT_NAMES)}, or the dotted path of a Task class"
    module_name, _, class_name = dotted_path(name).rpartition(".")
    if not module_name:
        return [Problem(source, "task.name", repr(name), allowed)]
    try:
        spec = None if name in SHORT_NAMES else _find_spec(module_name)
    except ImportError as error:
        return [Problem(source, "task.name", f"{name!r}: {error}", allowed)]
    if spec is not None and spec.origin and spec.origin.endswith(".py"):
        names = _top_level_names(Path(spec.origin))
        if class_name not in names and "*" not in names:
            found = f"{name!r}: {spec.origin} has no {class_name}"
            return [Problem(source, "task.name", found, allowed)]
    return []


def _find_spec(module_name: str) -> importlib.machinery.ModuleSpec:
    """Finds a module on disk; its packages are not imported, so nothing of them runs."""
    path: list[str] | None = None
    spec = None
    parts = module_name.split(".")
    for depth in range(len(parts)):
        partial = ".".join(parts[: depth + 1])
        finder = importlib.machinery.PathFinder
        spec = finder.find_spec(partial, path) or (
            importlib.util.find_spec(partial) if depth == 0 else None
        )
        if spec is None:
            raise ImportError(f"no module {partial!r} on the Python path")
        path = list(spec.submodule_search_locations or [])
    assert spec is not None
    return spec


def _top_level_names(path: Path) -> set[str]:
    """Returns the names that a module defines or imports, wherever it does."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            names.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names
