"""Handwritten digits: which digit it is, and how it is written."""

from trainer_module.tasks.digits.task import Digits

__all__ = ["Digits"]
