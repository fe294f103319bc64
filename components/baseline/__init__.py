"""Which model a candidate has to beat."""

from components.baseline.strategy import BaselineStrategy

__all__ = ["BaselineStrategy"]
