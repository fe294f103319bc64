"""What is wrong with a run's data: their layout, their columns, their splits and their classes."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING

from components.example_gen.config import BigQueryConfig, where
from components.example_gen.source import DataError, DataSource
from pipeline.config import RunConfig
from pipeline.config_file import Problem, Source

if TYPE_CHECKING:
    from trainer_module.tasks.base import Task
    from trainer_module.tasks.columns import ColumnType, ColumnTypes


def data_problems(config: RunConfig, data: DataSource, source: Source) -> list[Problem]:
    """Checks that the data are there and laid out as they should be, and the names of columns."""
    try:
        columns = data.columns
    except DataError as error:
        return [_data_problem(config, source, error)]
    allowed = f"a column of the data: {', '.join(columns)}"
    named = {"data.label": config.data.label} | {
        f"evaluate.slices.{index}": name for index, name in enumerate(config.evaluate.slices)
    }
    problems = [
        source.problem(key, repr(name), allowed)
        for key, name in named.items()
        if name not in columns
    ]
    try:
        data.check()
    except DataError as error:
        problems.append(_data_problem(config, source, error))
    return problems


def _data_problem(config: RunConfig, source: Source, error: DataError) -> Problem:
    found, _, allowed = str(error).partition("; allowed: ")
    key = "data.query" if isinstance(config.data, BigQueryConfig) else "data.path"
    return source.problem(key, found, allowed)


def split_problems(config: RunConfig, data: DataSource, source: Source) -> list[Problem]:
    """Checks that each split has rows, and training enough for a batch.

    Reads the rows only where there are so few that their number alone does not settle it.
    """
    from components.example_gen.examples import intake_of, least_counts

    shares = config.data.splits
    needed = {"train": config.train.batch_size, "eval": 1, "test": 1}
    least = least_counts(data, shares)
    if least is None or all(least[split] >= rows for split, rows in needed.items()):
        return []
    try:
        intake = intake_of(data)
        intake.check_bad(config.data.bad_rows, config.data.max_bad_fraction, where(config.data))
    except DataError as error:
        return [_data_problem(config, source, error)]
    counts, rows = intake.splits, intake.rows
    problems = [
        source.problem(
            "data", f"0 of {rows} rows in split {split!r}", "a row or more in each split"
        )
        for split, count in counts.items()
        if count == 0
    ]
    if 0 < counts["train"] < config.train.batch_size:
        allowed = f"at most the {counts['train']} rows of the train split"
        problems.append(source.problem("train.batch_size", str(config.train.batch_size), allowed))
    return problems


def class_problems(
    config: RunConfig, data: DataSource, source: Source, task: Task
) -> list[Problem]:
    """Checks that the task and its preprocessing_fn know the classes of the data, where both tell.

    A task tells by its attribute `class_names`, a preprocessing_fn by its parameter `classes`.
    """
    names = data.class_names
    known = getattr(task, "class_names", None)
    if names is None or known is None:
        return []
    missing = [name for name in names if name not in known]
    if missing:
        found = f"{list(known)} without {', '.join(missing)}"
        return [source.problem("task.options.classes", found, f"the classes: {list(names)}")]
    parameters = inspect.signature(type(task).preprocessing_fn).parameters
    if "classes" not in parameters:
        return []
    transformed = config.preprocessing_options(task).get("classes", parameters["classes"].default)
    if list(transformed) != list(known):
        found, allowed = str(list(transformed)), f"those of task.options.classes: {list(known)}"
        return [source.problem("transform.options.classes", found, allowed)]
    return []


def column_problems(
    config: RunConfig, data: DataSource, source: Source, task: Task
) -> list[Problem]:
    """Checks that the task can read the columns, as far as they are known without reading rows.

    AnomalyGate asks again once all types are known.
    """
    declared = getattr(config.data, "columns", {})
    types = {**dict.fromkeys(data.columns), **reviewed_types(config), **declared}

    def problems(columns: ColumnTypes) -> list[str]:
        options = config.preprocessing_options(task)
        return type(task).column_problems(columns, label=config.data.label, **options)

    if not problems(types):
        return []
    # A column that earlier data had is gone rather than misspelled, and that is the gate's to say.
    earlier: ColumnTypes = dict.fromkeys(_earlier_columns(config))
    return [source.told(text) for text in problems({**earlier, **types})]


def reviewed_types(config: RunConfig) -> dict[str, ColumnType | None]:
    """Returns the columns of the reviewed schema; none where there is no such file to read."""
    if config.schema.path is None:
        return {}
    from components.schema_file.features import column_type
    from components.schema_file.file import SchemaFileError, read_schema

    try:
        schema = read_schema(Path(config.schema.path).expanduser())
    except (OSError, SchemaFileError):  # told of by schema_problems
        return {}
    return {feature.name: column_type(feature) for feature in schema.feature}


def _earlier_columns(config: RunConfig) -> set[str]:
    """Returns the columns of all data that this pipeline has inferred or imported a schema for."""
    from components.schema_file.file import read_schema

    paths = (config.pipeline_root / "artifacts" / "SchemaGen").glob("schema/*/*.pbtxt")
    return {feature.name for path in paths for feature in read_schema(path).feature}
