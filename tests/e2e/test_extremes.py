"""Tables of extreme shapes: wide, long, of many values, of cells and names of any text."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

pytestmark = pytest.mark.slow

_CELL_OF_LINES = 'first line {word}\nsaid "{city}", and left\r\nlast line {number}'


def write_wide(path: Path) -> int:
    """300 columns, of which 200 hold numbers, and the label."""
    draw = np.random.default_rng(0)
    rows = 2000
    columns = {f"number_{at:03}": draw.normal(size=rows).round(4) for at in range(200)}
    columns |= {f"letter_{at:03}": draw.choice(list("abcde"), rows) for at in range(100)}
    signal = columns["number_000"] + 1.5 * (columns["letter_000"] == "a")
    columns["y"] = np.where(signal + 0.3 * draw.normal(size=rows) > 0.3, "yes", "no")
    pd.DataFrame(columns).to_csv(path, index=False)
    return rows


def write_long(path: Path) -> int:
    """Five million rows of three cells."""
    from pyarrow import csv as arrow_csv
    from pyarrow import table

    draw = np.random.default_rng(0)
    rows = 5_000_000
    number, letter = draw.integers(0, 1000, rows), draw.integers(0, 3, rows)
    label = ((number > 500) ^ (letter == 0)).astype(np.int8)
    letters = np.array(list("abc"))[letter]
    arrow_csv.write_csv(table({"number": number, "letter": letters, "y": label}), str(path))
    return rows


def write_many_values(path: Path) -> int:
    """A category of 10,000 values, each in some rows."""
    draw = np.random.default_rng(0)
    values, rows = 10_000, 60_000
    shop = np.concatenate([np.arange(values), draw.integers(0, values, rows - values)])
    is_good = (draw.random(values) < 0.5)[shop] ^ (draw.random(rows) < 0.1)
    table = {
        "shop": [f"shop-{number:05}" for number in shop],
        "amount": draw.gamma(2, 10, rows).round(2),
        "y": np.where(is_good, "yes", "no"),
    }
    pd.DataFrame(table).to_csv(path, index=False)
    return rows


def write_quoted(path: Path) -> int:
    """Names and values in several scripts, and newlines in cells and in a name."""
    draw = np.random.default_rng(0)
    rows = 3000
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["größe (cm)", "город", "备注\n(自由)", "цель"])
        for number in range(rows):
            size, city = draw.normal(170, 10), draw.choice(["Köln", "東京", "Москва, центр"])
            cell = _CELL_OF_LINES.format(
                word=draw.choice(["spät", "früh"]), city=city, number=number
            )
            label = "да" if size > 170 and city != "Köln" else "нет"
            writer.writerow([f"{size:.2f}", city, cell, label])
    return rows


class Shape(NamedTuple):
    """A table of an extreme shape.

    Attributes:
        write: writes it, and returns how many rows it has.
        label: its column.
        asked: a row to ask about.
        answer: to that row.
        at_least: that a model has of the AUC.
    """

    write: Callable[[Path], int]
    label: str
    asked: dict[str, object]
    answer: str
    at_least: float


SHAPES = {
    "300 columns": Shape(
        write_wide, "y", {"number_000": 2.5, "letter_000": "a", "letter_099": "b"}, "yes", 0.8
    ),
    "5 million rows": Shape(write_long, "y", {"number": 900, "letter": "b"}, "1", 0.95),
    "10,000 values": Shape(write_many_values, "y", {"shop": "shop-00042"}, "", 0.65),
    "newlines and any letters": Shape(
        write_quoted,
        "цель",
        {"größe (cm)": 185, "город": "東京", "备注\n(自由)": "a\nb"},
        "да",
        0.95,
    ),
}


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", SHAPES)
def test_table_when_its_shape_is_extreme_then_becomes_a_pushed_model_with_no_edit(
    name, tmp_path, tapeline
):
    shape = SHAPES[name]
    rows = shape.write(tmp_path / "table.csv")
    looked = tapeline(
        "init", "--data", "table.csv", "--label", shape.label, "-o", "x.yaml", cwd=tmp_path
    )
    assert looked.code == 0, looked

    done = tapeline("run", "x.yaml", "--json", cwd=tmp_path)
    assert done.code == 0, done
    assert done.summary["status"] == "pushed"
    assert sum(done.summary["rows"].values()) == rows
    assert done.summary["metrics"]["label/auc"] >= shape.at_least

    text = json.dumps([shape.asked])
    answered = tapeline("predict", "x.yaml", "-", "--format", "jsonl", cwd=tmp_path, stdin=text)
    assert answered.code == 0, answered
    (line,) = answered.stdout.splitlines()
    assert json.loads(line)["label"] == (shape.answer or json.loads(line)["label"])
