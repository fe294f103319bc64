"""Which split a configuration asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import tensorflow as tf

from trainer_module.config.input import InputConfig
from trainer_module.data.arrays import read_examples
from trainer_module.data.mapped import MappedSplit
from trainer_module.data.memory import MemorySplit
from trainer_module.data.pace import row_bytes
from trainer_module.data.records import match_files
from trainer_module.data.split import Split
from trainer_module.data.stream import PARALLEL_READS, SHUFFLE_BUFFER, StreamSplit
from trainer_module.data.survey import survey

MEMORY_BYTES = 2**30
"""From here on `auto` keeps a split's arrays in files. To make them takes twice as much."""


def open_split(
    file_patterns: Sequence[str],
    feature_spec: Mapping[str, Any],
    config: InputConfig,
    folder: str,
    can_map: bool = True,
) -> Split:
    """Opens the examples of one split.

    Args:
        file_patterns: globs of the split's files.
        feature_spec: of the transformed features, all of fixed length.
        folder: on a local disk, for what is kept of files between runs: arrays with cache
            `file`, the number of rows with cache `none`. Any number of splits and processes may
            share it.
        can_map: whether `auto` may keep the rows in files.

    Raises:
        ValueError: if a feature is not of fixed length, a file is damaged, or there are no rows.
    """
    cache: str = config.cache
    if cache == "auto":
        cache = _by_size(file_patterns, feature_spec, folder) if can_map else "memory"
    if cache == "memory":
        return MemorySplit(read_examples(file_patterns, feature_spec))
    if cache == "file":
        return MappedSplit(file_patterns, feature_spec, folder)
    return StreamSplit(
        file_patterns,
        feature_spec,
        folder,
        shuffle_buffer=config.shuffle_buffer or SHUFFLE_BUFFER,
        parallel_reads=config.parallel_reads or PARALLEL_READS,
    )


def _by_size(
    file_patterns: Sequence[str], feature_spec: Mapping[str, Any], folder: str
) -> Literal["memory", "file"]:
    """Returns where the rows are kept: the batches are the same from either."""
    if any(feature.dtype == tf.string for feature in feature_spec.values()):
        return "memory"  # files are for numbers
    rows, _ = survey(match_files(file_patterns), feature_spec, folder)
    return "memory" if rows * row_bytes(feature_spec) < MEMORY_BYTES else "file"
