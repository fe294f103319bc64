"""What is wrong with a run that its configuration alone does not show, found before any work.

The light checks import no TensorFlow; the task's own are made when the run has to import it
anyway. Neither writes anything.
"""

from __future__ import annotations

import ast
import glob
import inspect
import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from components.example_gen.source import DataError
from components.example_gen.sources import make_source
from pipeline.beam.checks import engine_problems
from pipeline.config import RunConfig
from pipeline.config_file import ConfigError, Problem, Source, section_problems
from pipeline.data_checks import (
    class_problems,
    column_problems,
    data_problems,
    reviewed_types,
    split_problems,
)
from pipeline.modules import find_module
from pipeline.monitor.prometheus import monitor_problems
from trainer_module.tasks import SHORT_NAMES, dotted_path

if TYPE_CHECKING:
    from trainer_module.tasks.base import Task


def check_inputs(config: RunConfig, source: Source) -> None:
    """Checks paths, data, the task's name and the engine; takes a fraction of a second, or some
    where an engine does not answer.

    Args:
        source: where the configuration came from, for the messages.

    Raises:
        ConfigError: with every mistake found.
    """
    problems = [
        *_root_problems(source, "root", config.pipeline_root),
        *(_root_problems(source, "serve.root", config.serving_root) if config.serve.root else ()),
        *_temporary_problems(source),
        *data_problems(config, make_source(config.data), source),
        *schema_problems(config, source),
        *_validate_problems(config, source),
        *_task_problems(source, config.task.name),
        *engine_problems(config.beam, source),
        *monitor_problems(config, source),
    ]
    if problems:
        raise ConfigError(*problems)


def check_task(config: RunConfig, source: Source) -> Task:
    """Imports and makes the task, and checks that the configuration and the data fit it.

    Raises:
        ConfigError: if the task does not import or does not take its options, a metric names a
            head that it lacks, or a split has too few rows.
    """
    from trainer_module.tasks import load_task_class, make_task

    try:
        section = load_task_class(config.task.name).options_section
        if section is not None:
            problems = _option_problems(config.task.options, source, section)
            if problems:
                raise ConfigError(*problems)
        task = make_task(config.task)
        heads = {head.name: head for head in task.heads}
        task.transform_options()
    except ConfigError:
        raise
    except Exception as error:  # whatever a module of the user's does when it is imported
        found = f"{dotted_path(config.task.name)}: {type(error).__name__}: {error}"
        allowed = "a Task that imports and takes task.options"
        raise ConfigError(source.problem("task", found, allowed)) from error
    data = make_source(config.data)
    problems = [
        *split_problems(config, data, source),
        *(
            _preprocessing_problems(config, source, task)
            or class_problems(config, data, source, task)
            + column_problems(config, data, source, task)
        ),
        *(
            source.problem(f"evaluate.metrics.{index}.head", repr(metric.head), ", ".join(heads))
            for index, metric in enumerate(config.evaluate.metrics)
            if metric.head not in heads
        ),
    ]
    problems += _training_problems(config, source, task)
    if problems:
        raise ConfigError(*problems)
    return task


def schema_problems(config: RunConfig, source: Source) -> list[Problem]:
    """Checks that the reviewed schema, if there is one, is a schema, and has the label."""
    if config.schema.path is None:
        return []
    from components.schema_file.file import SchemaFileError, read_schema

    key, path = "schema.path", config.schema.path
    try:
        schema = read_schema(Path(path).expanduser())
    except OSError as error:
        found = f"{path}: {error.strerror}"
        return [source.problem(key, found, "a file that `tapeline schema freeze` writes")]
    except SchemaFileError as error:
        return [source.problem(key, f"{path}: {error}", "a Schema proto as text")]
    names = [feature.name for feature in schema.feature]
    if config.data.label not in names:
        found = f"{path} without the label, {config.data.label!r}"
        return [source.problem(key, found, f"a feature for each column; it has {', '.join(names)}")]
    return []


def _validate_problems(config: RunConfig, source: Source) -> list[Problem]:
    """Checks that the policies name columns, and that there are logs where they should be."""
    validate = config.validate
    try:
        columns = {*make_source(config.data).columns, *reviewed_types(config)}
    except DataError:  # told of by data_problems
        return []
    named = [
        *((f"validate.features.{name}", name) for name in validate.features),
        *((f"validate.drift.features.{name}", name) for name in validate.drift.features),
        *((f"validate.skew.features.{name}", name) for name in validate.skew.features),
    ]
    allowed = f"a column of the data or of the schema: {', '.join(sorted(columns))}"
    problems = [
        source.problem(key, repr(name), allowed) for key, name in named if name not in columns
    ]
    logs = validate.skew.serving_logs
    # What is elsewhere is found out when it is read.
    if logs and "://" not in logs and not glob.glob(logs):
        allowed = "a glob of TFRecords of tf.Example or PredictionLog"
        found = f"{logs}, which no file matches"
        problems.append(source.problem("validate.skew.serving_logs", found, allowed))
    return problems


def _option_problems(
    options: dict[str, Any], source: Source, section: type[BaseModel]
) -> list[Problem]:
    """Checks a task's options by the section that it has for them."""
    try:
        section.model_validate(options)
    except ValidationError as error:
        return section_problems(error, source, section, "task.options")
    return []


def _training_problems(config: RunConfig, source: Source, task: Task) -> list[Problem]:
    """Checks what the training will look up by name, and that there are devices for it."""
    from trainer_module.callbacks.factory import own_callbacks
    from trainer_module.gradients import load_transforms
    from trainer_module.objective import check_names
    from trainer_module.strategy import replica_count

    problems = []
    for check in (
        lambda: check_names(config.train, task.heads),
        lambda: load_transforms(config.train.gradient_transforms),
        lambda: own_callbacks(config.train.callbacks.own),
        lambda: replica_count(config.train),
    ):
        try:
            check()
        except ValueError as error:
            problems.append(source.told(str(error)))
    return problems


def _root_problems(source: Source, key: str, folder: Path) -> list[Problem]:
    """Checks a folder of folders: what is in it already may be another user's."""
    problems = folder_problems(source, key, folder)
    if problems or not folder.is_dir():
        return problems
    return [
        source.problem(key, f"{inner}, which cannot be written", "a folder that can be written")
        for inner in sorted(folder.iterdir())
        if inner.is_dir() and not os.access(inner, os.W_OK | os.X_OK)
    ]


def folder_problems(source: Source, key: str, folder: Path) -> list[Problem]:
    """Tries to make a folder where `folder` will be, and takes it back."""
    allowed = "a folder that can be written"
    existing = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    if not existing.is_dir():
        return [source.problem(key, f"{existing}, which is no folder", allowed)]
    try:
        os.rmdir(tempfile.mkdtemp(prefix=".tapeline-", dir=existing))
    except OSError as error:
        return [source.problem(key, f"{existing}: {error.strerror}", allowed)]
    try:
        folder.lstat()
    except FileNotFoundError:
        return []
    except OSError as error:  # too long a name, say
        return [source.problem(key, f"{folder}: {error.strerror}", allowed)]
    return []


def _temporary_problems(source: Source) -> list[Problem]:
    """Finds the folder that Beam and TFX put into what they need for a moment."""
    try:
        tempfile.gettempdir()
    except FileNotFoundError as error:
        allowed = "a folder with room that can be written"
        return [source.problem("(TMPDIR)", str(error), allowed)]
    return []


def _task_problems(source: Source, name: str) -> list[Problem]:
    """Finds a task's class without importing it, since its module imports TensorFlow."""
    if name in SHORT_NAMES:
        return []
    allowed = f"{', '.join(SHORT_NAMES)}, or the dotted path of a Task class"
    module_name, _, class_name = name.rpartition(".")
    if not all(module_name.split(".")):
        return [source.problem("task.name", repr(name), allowed)]
    path = find_module(module_name)
    if path is None:
        found = f"{name!r}: no module {module_name!r} on the Python path"
        return [source.problem("task.name", found, allowed)]
    try:
        names = _names(path)
    except (SyntaxError, UnicodeDecodeError, OSError) as error:
        return [source.problem("task.name", f"{name!r}: {error}", "a module of Python")]
    if class_name not in names and "*" not in names:
        return [source.problem("task.name", f"{name!r}: {path} has no {class_name}", allowed)]
    return []


def _preprocessing_problems(config: RunConfig, source: Source, task: Task) -> list[Problem]:
    """Checks that Transform will be able to call the task's preprocessing_fn."""
    key = "transform.options"
    function = getattr(type(task), "preprocessing_fn", None)
    if not inspect.isfunction(function):
        allowed = "a plain function, as staticmethod(preprocessing_fn)"
        return [source.problem("task", f"preprocessing_fn = {function!r}", allowed)]
    options = config.preprocessing_options(task)
    signature = inspect.signature(function)
    try:
        signature.bind({}, label=config.data.label, **options)
    except TypeError as error:
        found = f"{options}: {error}"
        return [source.problem(key, found, f"preprocessing_fn takes {signature}")]
    try:
        json.dumps(options)
    except (TypeError, ValueError) as error:
        found = f"transform_options() = {task.transform_options()}: {error}"
        return [source.problem("task", found, "what JSON holds")]
    return []


def _names(path: Path) -> set[str]:
    """Returns the names that a module defines or imports, wherever it does."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            names.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names
