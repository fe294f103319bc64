"""Tables: classes or a number from columns of numbers, categories, words and dates."""

from trainer_module.tasks.tabular.task import Tabular

__all__ = ["Tabular"]
