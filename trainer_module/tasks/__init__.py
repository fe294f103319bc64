"""The tasks that come with Tapeline, and how a task is found by its name."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trainer_module.config import TaskConfig
    from trainer_module.tasks.base import Task

SHORT_NAMES = {
    "digits": "trainer_module.tasks.digits.Digits",
    "breast_cancer": "trainer_module.tasks.breast_cancer.BreastCancer",
    "gan": "trainer_module.tasks.gan.Gan",
    "image": "trainer_module.tasks.image.Image",
    "cifar10": "trainer_module.tasks.cifar10.Cifar10",
    "tabular": "trainer_module.tasks.tabular.Tabular",
}


def dotted_path(name: str) -> str:
    """Returns the dotted path of the task class that `name` stands for."""
    return SHORT_NAMES.get(name, name)


def load_task_class(name: str) -> type[Task]:
    """Imports the task class that `name` (short, or a dotted path) stands for.

    Raises:
        ImportError: if its module does not import or does not hold the class.
        TypeError: if what it names is not a `Task` class.
    """
    from trainer_module.tasks.base import Task

    module_name, _, class_name = dotted_path(name).rpartition(".")
    module = importlib.import_module(module_name)
    found = getattr(module, class_name, None)
    if found is None:
        raise ImportError(f"module {module_name} has no {class_name!r}")
    if not (isinstance(found, type) and issubclass(found, Task)):
        raise TypeError(f"{dotted_path(name)} is {found!r}, not a subclass of Task")
    return found


def make_task(config: TaskConfig) -> Task:
    """Makes the task that `config` names, with its options."""
    task = load_task_class(config.name)(**config.options)
    task.config = config
    return task
