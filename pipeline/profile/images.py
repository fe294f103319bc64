"""Looks at pictures: how large they are, and whether they have colours."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_LOOKED_AT = 50
_LARGEST_SIDE = 64
"""Pixels of the side that larger pictures are resized to: what trains in minutes without a GPU."""


@dataclass(frozen=True)
class ImageProfile:
    """What was found.

    Attributes:
        classes: in the source's order.
        rows: pictures in all.
        sides: smallest and largest side of those looked at, in pixels.
        size: to resize to.
        channels: 1 if all are grey, else 3.
    """

    classes: Sequence[str | int]
    rows: int
    sides: tuple[int, int]
    size: int
    channels: int


def profile_images(
    rows: Sequence[Mapping[str, Any]], classes: Sequence[str | int], total: int
) -> ImageProfile:
    """Looks at some pictures.

    Args:
        rows: with `image`, an encoded picture.
    """
    from PIL import Image

    pictures = []
    for row in rows[:_LOOKED_AT]:
        with Image.open(io.BytesIO(row["image"])) as picture:
            pictures.append((picture.size, picture.mode))
    sides = [side for size, _ in pictures for side in size]
    largest = sorted(max(size) for size, _ in pictures)
    typical = largest[len(largest) // 2]
    grey = all(mode in ("L", "1", "I", "I;16") for _, mode in pictures)
    return ImageProfile(
        classes, total, (min(sides), max(sides)), min(typical, _LARGEST_SIDE), 1 if grey else 3
    )
