"""The cifar10 task: the image task with the classes of CIFAR-10."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trainer_module.tasks.image import Image

CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
"""The classes of CIFAR-10 in the order of their numbers there."""


class Cifar10(Image):
    """The image task; `classes` need not be given, all other options are its."""

    def __init__(self, classes: Sequence[str] = CLASSES, **options: Any) -> None:
        super().__init__(classes, **options)
