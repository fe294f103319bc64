"""What the loop reads: splits of transformed examples, as batches that are a function of the step."""

from trainer_module.data.arrays import Arrays, read_examples
from trainer_module.data.memory import MemorySplit
from trainer_module.data.split import WEIGHT, Call, Share, Split, plan_calls

__all__ = [
    "WEIGHT",
    "Arrays",
    "Call",
    "MemorySplit",
    "Share",
    "Split",
    "plan_calls",
    "read_examples",
]
