"""What the loop reads: splits of examples, whose batches are a function of seed and step."""

from trainer_module.data.arrays import Arrays, read_examples
from trainer_module.data.memory import MemorySplit
from trainer_module.data.split import WEIGHT, Augment, Call, Share, Split, plan_calls

__all__ = [
    "WEIGHT",
    "Arrays",
    "Augment",
    "Call",
    "MemorySplit",
    "Share",
    "Split",
    "plan_calls",
    "read_examples",
]
