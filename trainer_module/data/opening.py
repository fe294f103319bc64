"""Which split a configuration asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trainer_module.config.input import InputConfig
from trainer_module.data.arrays import read_examples
from trainer_module.data.mapped import MappedSplit
from trainer_module.data.memory import MemorySplit
from trainer_module.data.split import Split
from trainer_module.data.stream import PARALLEL_READS, SHUFFLE_BUFFER, StreamSplit


def open_split(
    file_patterns: Sequence[str], feature_spec: Mapping[str, Any], config: InputConfig, folder: str
) -> Split:
    """Opens the examples of one split.

    Args:
        file_patterns: globs of the split's files.
        feature_spec: of the transformed features, all of fixed length.
        folder: on a local disk, for what is kept of files between runs: arrays with cache
            `file`, the number of rows with cache `none`. Any number of splits and processes may
            share it.

    Raises:
        ValueError: if a feature is not of fixed length, a file is damaged, or there are no rows.
    """
    if config.cache == "memory":
        return MemorySplit(read_examples(file_patterns, feature_spec))
    if config.cache == "file":
        return MappedSplit(file_patterns, feature_spec, folder)
    return StreamSplit(
        file_patterns,
        feature_spec,
        folder,
        shuffle_buffer=config.shuffle_buffer or SHUFFLE_BUFFER,
        parallel_reads=config.parallel_reads or PARALLEL_READS,
    )
