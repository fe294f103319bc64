"""Finds where a number that is not finite was born: which step, which layer, which tensor."""

from trainer_module.numerics.finding import Finding, NonFiniteError, is_finite
from trainer_module.numerics.replay import replay
from trainer_module.numerics.search import locate

__all__ = ["Finding", "NonFiniteError", "is_finite", "locate", "replay"]
