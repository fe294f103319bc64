"""Finds where numbers go bad, not finite or too large: which step, which layer, which tensor."""

from trainer_module.numerics.finding import (
    BadStepError,
    Bound,
    ExplosionError,
    Finding,
    NonFiniteError,
    is_finite,
)
from trainer_module.numerics.replay import replay
from trainer_module.numerics.search import locate, locate_explosion

__all__ = [
    "BadStepError",
    "Bound",
    "ExplosionError",
    "Finding",
    "NonFiniteError",
    "is_finite",
    "locate",
    "locate_explosion",
    "replay",
]
