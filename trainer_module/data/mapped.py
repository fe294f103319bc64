"""A split in files that are mapped into memory: for data that fit on a local disk, not in memory.

The first run parses the examples once and writes their arrays; every later batch is one gather,
as from memory, in the same order. What is read often stays in the page cache, which the processes
of a machine share.
"""

from __future__ import annotations

import fcntl
import json
import math
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from trainer_module.data.arrays import canonical_order
from trainer_module.data.memory import MemorySplit
from trainer_module.data.records import check_fixed_length, match_files, parsed_batches
from trainer_module.data.split import Tensors
from trainer_module.data.survey import Surveyor, source_key

_SUMMARY = "summary.json"
_ORDER = "order"


class MappedSplit(MemorySplit):
    """Arrays in a folder of their own, under a name made of the files that they come from."""

    def __init__(
        self, file_patterns: Sequence[str], feature_spec: Mapping[str, Any], folder: str
    ) -> None:
        """Opens the arrays in `folder`, on a local disk, or writes them first.

        Raises:
            ValueError: if a feature is not of fixed length or is text, a file is damaged, or
                there are no rows.
        """
        check_fixed_length(feature_spec)
        for name, feature in feature_spec.items():
            if feature.dtype == tf.string:
                raise ValueError(
                    f"input.cache: found 'file' with text in the transformed feature {name!r}; "
                    "allowed: 'memory' or 'none', or features of numbers"
                )
        files = match_files(file_patterns)
        whole = Path(folder, source_key(files, feature_spec))
        with _alone(whole):
            if not _is_whole(whole):
                _write(files, feature_spec, whole)
        summary = json.loads((whole / _SUMMARY).read_text())
        self.rows = summary["rows"]
        if not self.rows:
            raise ValueError(f"no rows in {list(file_patterns)}")
        tensors = {
            array["name"]: _mapped(whole / array["file"], array["dtype"], array["shape"])
            for array in summary["arrays"]
        }
        self._order = tensors.pop(_ORDER)
        self._tensors = {name: tensors[name] for name in sorted(tensors)}

    def _gather(self, index: tf.Tensor) -> Tensors:
        # The files hold the rows as they came.
        return super()._gather(tf.gather(self._order, index))


@contextmanager
def _alone(whole: Path) -> Iterator[None]:
    """Lets one process of the machine at a time look for the arrays and write them.

    The system gives the lock back when a process dies, however it dies.
    """
    whole.parent.mkdir(parents=True, exist_ok=True)
    with whole.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _is_whole(folder: Path) -> bool:
    """Returns whether the folder has all arrays at their full length."""
    if not (folder / _SUMMARY).exists():
        return False
    return all(
        (folder / array["file"]).exists()
        and (folder / array["file"]).stat().st_size
        == np.dtype(array["dtype"]).itemsize * math.prod(array["shape"])
        for array in json.loads((folder / _SUMMARY).read_text())["arrays"]
    )


def _write(files: Sequence[str], feature_spec: Mapping[str, Any], whole: Path) -> None:
    """Writes the arrays into a folder beside, which takes its name when it is complete."""
    part = whole.with_suffix(".part")
    # What a process left that died here; nobody else is in, `_alone` sees to that.
    shutil.rmtree(part, ignore_errors=True)
    shutil.rmtree(whole, ignore_errors=True)
    part.mkdir()
    names = sorted(feature_spec)
    surveyor = Surveyor(feature_spec)
    digests = [np.empty((0, 2), ">u8")]
    with ExitStack() as stack:
        opened = {
            name: stack.enter_context((part / f"{number}.bin").open("wb"))
            for number, name in enumerate(names)
        }
        for batch in parsed_batches(files, feature_spec):
            digests.append(surveyor.add(batch))
            for name, values in batch.items():
                opened[name].write(np.ascontiguousarray(values).data)
        for file in opened.values():
            file.flush()
            os.fsync(file.fileno())
    order = canonical_order(np.concatenate(digests))
    with (part / f"{_ORDER}.bin").open("wb") as file:
        file.write(order.data)
        file.flush()
        os.fsync(file.fileno())
    arrays = [
        {
            "name": name,
            "file": f"{number}.bin",
            "dtype": tf.as_dtype(feature_spec[name].dtype).name,
            "shape": [surveyor.rows, *feature_spec[name].shape],
        }
        for number, name in enumerate(names)
    ]
    arrays.append(
        {"name": _ORDER, "file": f"{_ORDER}.bin", "dtype": "int64", "shape": [surveyor.rows]}
    )
    summary = {"rows": surveyor.rows, "arrays": arrays}
    (part / _SUMMARY).write_text(json.dumps(summary))
    os.rename(part, whole)


def _mapped(path: Path, dtype: str, shape: Sequence[int]) -> tf.Tensor:
    """Returns the file's array as a tensor, without reading it."""
    # Copy-on-write: DLPack takes no array that cannot be written to.
    mapped = np.memmap(path, dtype, mode="c", shape=tuple(shape))
    return tf.experimental.dlpack.from_dlpack(mapped.__dlpack__())
