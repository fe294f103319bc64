"""New digits: a generator that learns to write them, and a critic that it learns against."""

from trainer_module.tasks.gan.task import Gan

__all__ = ["Gan"]
