"""What was found in a table, as lines to read."""

from __future__ import annotations

import math

from pipeline.profile.columns import ColumnProfile
from pipeline.profile.images import ImageProfile
from pipeline.profile.label import LabelProfile
from pipeline.profile.table import TableProfile

_MEASURES = {"binary": "AUC", "multiclass": "gain", "regression": "R²"}
_SHOWN_CLASSES = 10
_SHOWN_BAD = 5


def report_lines(found: TableProfile) -> list[str]:
    """Returns the label's balance, a line a column, and what is suspicious."""
    measure = _MEASURES[found.label.problem]
    width = max(6, *(len(one_line(column.name)) for column in found.columns))
    lines = [
        f"{rows_text(found)}, {len(found.columns)} columns",
        f"label {one_line(found.label.name)}: {label_text(found.label)}",
        "",
        f"{'column':<{width}}  type   missing  different  alone   example",
    ]
    for column in found.columns:
        alone = "" if math.isnan(column.alone) else f"{column.alone:.3f}"
        lines.append(
            f"{one_line(column.name):<{width}}  {column.type:<5}  {column.missing:6.1%}  "
            f"{column.distinct:9}  {alone:>6}  {one_line(column.example)}"
        )
    lines += ["", f"alone: {measure} of a small tree that is given this column and no other"]
    suspicious = [column for column in found.columns if column.suspicion]
    if suspicious:
        lines += ["", "left out:"]
        lines += [
            f"  {one_line(column.name)}: {reason(column, found.label)}" for column in suspicious
        ]
    if found.bad:
        lines += ["", f"{len(found.bad)} rows that cannot be used:"]
        lines += [f"  {row}" for row in found.bad[:_SHOWN_BAD]]
    return lines


def rows_text(found: TableProfile) -> str:
    """Returns how many rows were looked at, and of how many."""
    of_all = "" if found.about_rows is None else f" of about {found.about_rows} looked at"
    return f"{found.rows} rows{of_all}"


def one_line(text: str) -> str:
    """Returns a text of a table, which may hold ends of lines, as one line."""
    return " ".join(text.split())


def image_lines(found: ImageProfile) -> list[str]:
    """Returns how many pictures there are, of which size, and their classes."""
    low, high = found.sides
    count = "pictures" if found.rows is None else f"{found.rows} pictures"
    colour = "grey" if found.channels == 1 else "in colours"
    shown = ", ".join(found.classes[:_SHOWN_CLASSES])
    more = ", ..." if len(found.classes) > _SHOWN_CLASSES else ""
    return [
        f"{count} of {low} to {high} pixels a side, {colour}",
        f"{len(found.classes)} classes: {shown}{more}",
    ]


def reason(column: ColumnProfile, label: LabelProfile) -> str:
    """Returns why a column is left out."""
    assert column.suspicion is not None, "only suspicious columns are left out"
    text = column.suspicion.value
    if column.suspicion.name == "LEAK":
        text += f" ({_MEASURES[label.problem]} {column.alone:.3f})"
    return text


def label_text(label: LabelProfile) -> str:
    """Returns what the label is in a few words."""
    if label.problem == "regression":
        return f"a number, mean {label.mean:g}, standard deviation {label.deviation:g}"
    shares = [f"{one_line(str(name))} {share:.1%}" for name, share in label.classes.items()]
    more = len(shares) - _SHOWN_CLASSES
    tail = [f"and {more} more"] if more > 0 else []
    kind = "two classes" if label.problem == "binary" else f"{len(shares)} classes"
    return f"{kind}: {', '.join(shares[:_SHOWN_CLASSES] + tail)}"
