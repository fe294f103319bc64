"""Pictures: which of a few classes each shows."""

from trainer_module.tasks.image.task import Image

__all__ = ["Image"]
