"""Looks at pictures: how large they are, whether they have colours, and of which classes."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from components.example_gen.source import DataError, DataSource

_LOOKED_AT = 50
_LABELS_LOOKED_AT = 20_000
_LARGEST_SIDE = 64
"""Pixels of the side that larger pictures are resized to: what trains in minutes without a GPU."""
_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")


@dataclass(frozen=True)
class ImageProfile:
    """What was found.

    Attributes:
        data: keys of a `data` section that reads them.
        column: of the pictures.
        classes: names in the order of their numbers.
        rows: pictures in all; None where only reading them all would tell.
        sides: smallest and largest side of those looked at, in pixels.
        size: to resize to.
        channels: 1 if all are grey, else 3.
    """

    data: Mapping[str, Any]
    column: str
    classes: Sequence[str]
    rows: int | None
    sides: tuple[int, int]
    size: int
    channels: int


def picture_column(source: DataSource) -> str | None:
    """Returns the column that holds encoded pictures; None if there is none."""
    for row in source.sample(1):
        for name, value in row.items():
            if isinstance(value, bytes) and value.startswith(_SIGNATURES):
                return name
    return None


def profile_images(data: Mapping[str, Any], source: DataSource, column: str) -> ImageProfile:
    """Looks at some pictures.

    Args:
        data: keys of the section that made the source.
        column: of the pictures.

    Raises:
        DataError: if there are fewer than two classes.
    """
    from PIL import Image

    sizes, modes = [], set()
    for row in source.sample(_LOOKED_AT):
        with Image.open(io.BytesIO(row[column])) as picture:
            sizes.append(picture.size)
            modes.add(picture.mode)
    largest = sorted(max(size) for size in sizes)
    counts = source.row_counts()
    return ImageProfile(
        data,
        column,
        _classes(source, str(data["path"]), str(data.get("label", "label"))),
        None if counts is None else sum(counts.values()),
        (min(map(min, sizes)), largest[-1]),
        min(largest[len(largest) // 2], _LARGEST_SIDE),
        1 if modes <= {"L", "1", "I", "I;16"} else 3,
    )


def _classes(source: DataSource, path: str, label: str) -> Sequence[str]:
    """Returns the names that the source knows, or else those of its first rows' labels."""
    if source.class_names is not None:
        return source.class_names
    found = {row[label] for row in source.sample(_LABELS_LOOKED_AT)}
    if len(found) < 2:
        raise DataError.at(path, f"label {label!r}: found {len(found)} class", "two or more")
    if all(isinstance(value, int) for value in found):
        return [str(number) for number in range(max(found) + 1)]
    return sorted(map(str, found))
