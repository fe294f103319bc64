"""Small colour pictures: which of ten classes each shows."""

from trainer_module.tasks.cifar10.task import Cifar10

__all__ = ["Cifar10"]
