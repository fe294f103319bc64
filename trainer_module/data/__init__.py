"""What the loop reads: splits of examples, as batches that are a function of the step."""

from trainer_module.data.arrays import Arrays, read_examples
from trainer_module.data.augment import ImageAugment, make_augment
from trainer_module.data.mapped import MappedSplit
from trainer_module.data.memory import MemorySplit
from trainer_module.data.opening import open_split
from trainer_module.data.split import WEIGHT, Augment, Call, Plan, Share, Split, plan_calls
from trainer_module.data.stream import StreamSplit

__all__ = [
    "WEIGHT",
    "Arrays",
    "Augment",
    "Call",
    "ImageAugment",
    "MappedSplit",
    "MemorySplit",
    "Plan",
    "Share",
    "Split",
    "StreamSplit",
    "make_augment",
    "open_split",
    "plan_calls",
    "read_examples",
]
