"""Breast tumours: benign or malignant, from 30 measurements of cell nuclei."""

from trainer_module.tasks.breast_cancer.task import BreastCancer

__all__ = ["BreastCancer"]
