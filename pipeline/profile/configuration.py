"""From data that nothing is known of yet to a configuration that learns from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from components.example_gen.source import DataError
from pipeline.profile import images, table
from pipeline.profile.render import render_images, render_table
from pipeline.profile.report import image_lines, report_lines

_WITH_LABEL = ("csv", "parquet", "tfrecord", "npz")
"""Sources of columns, one of which is the label; the others are of pictures."""


class Configuration(NamedTuple):
    """What came of a look at data.

    Attributes:
        text: YAML, commented.
        report: lines that say what was found.
    """

    text: str
    report: Sequence[str]


def make_configuration(
    section: Mapping[str, Any], label: str | None, problem: str | None, name: str, command: str
) -> Configuration:
    """Looks at data and returns what was found, and a configuration that learns from it.

    Args:
        section: keys of `data` that read it.
        label: a column, or an expression of columns; None where the data say it.
        problem: what the label is taken for; None to judge by its values.
        name: of the pipeline.
        command: by which it is run.

    Raises:
        DataError: if the data cannot be used, or the label does not go with them.
    """
    if section["source"] not in _WITH_LABEL:
        if label not in (None, "label"):
            allowed = "none, since the folder or the file of a picture says its class"
            raise DataError.at(str(section["path"]), f"label {label!r}", allowed)
        source = table.open_source(section)
        source.check()
        pictures = images.profile_images(section, source, "image")
    else:
        label = _needed_label(section, label)
        source = table.open_source({**section, "label": label})
        column = images.picture_column(source) if label in source.columns else None
        if column is None:
            look = table.profile_arrays if section["source"] == "npz" else table.profile_table
            found = look(section, label, problem)
            return Configuration(render_table(found, name, command), report_lines(found))
        source.check()
        pictures = images.profile_images({**section, "label": label}, source, column)
    return Configuration(render_images(pictures, name, command), image_lines(pictures))


def _needed_label(section: Mapping[str, Any], label: str | None) -> str:
    """Returns the label, which arrays that go by the usual names need not be told."""
    if label is None and section["source"] == "npz":
        columns = table.open_source({**section, "label": "y"}).columns
        label = next((name for name in ("y", "label", "labels") if name in columns), None)
    if label is None:
        allowed = "--label COLUMN, or an expression of columns such as 'a > 0.2 * b'"
        raise DataError.at(str(section["path"]), "no label named", allowed)
    return label
