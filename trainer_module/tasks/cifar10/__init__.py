"""Small colour pictures of ten kinds of animals and vehicles."""

from trainer_module.tasks.cifar10.task import Cifar10

__all__ = ["Cifar10"]
