"""Checkpoints of a training: the latest ones, to go on from, and the best, to export.

A checkpoint is a folder that holds TensorFlow's files and `host.json`, what the loop and its
callbacks remember. It is written under another name and renamed: it is whole or absent. One of the
same step steps aside for it and goes only then: at any instant one of the two is there.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf
import tf_keras as keras

from trainer_module.progress import emit
from trainer_module.state import TrainState

_FILES = "checkpoint"
_HOST = "host.json"
_PARTIAL = ".partial-"
_ASIDE = ".old-"

Host = dict[str, Any]

# An IndexError is what TensorFlow's reader makes of a file that ends too soon.
_UNREADABLE = (OSError, ValueError, IndexError, AssertionError, tf.errors.OpError)


class Checkpoints:
    """The `latest` and `best` checkpoints in a folder that is the training's own.

    What is restored is exact: weights, optimizer slots, averages, steps, the random generators of
    layers, and what the callbacks know.

    The folder holds one history. What lies above the step that a rerun goes on from is damaged, or
    of a future that this run may not come to: it goes at the restore. Each best checkpoint is
    better than those before it, so the best of the history up to a step is the newest that is not
    above it. The one of the oldest latest checkpoint stays, and all after it: whichever checkpoint
    is gone on from, what was the best by then is still there.

    Args:
        folder: made if it is missing.
        keep: how many of the latest stay.
        writes: whether this process writes them. Every worker has to call the methods that save,
            since reading a variable that is averaged over workers takes all of them; what the
            others write goes to a temporary folder.
    """

    def __init__(self, folder: str, state: TrainState, keep: int, writes: bool = True) -> None:
        self._latest = Path(folder) / "latest"
        self._best = Path(folder) / "best"
        self._keep = keep
        self._writes = writes
        self._state = state
        self._whole = tf.train.Checkpoint(**state.trackables())
        self._model = tf.train.Checkpoint(model=state.model, step=state.step)

    def restore_latest(self) -> Host | None:
        """Restores the newest checkpoint that can be read; returns its host state, None if none.

        A damaged one is passed over, with a warning that names it. What is newer than the one
        restored is removed; without any that is every best one, as the training begins anew.

        Raises:
            OSError: if there are checkpoints and none can be read.
        """
        if self._writes:
            for root in (self._latest, self._best):
                _clean(root)
        for folder in reversed(_folders(self._latest)):
            try:
                host = self._read(folder)
            except _UNREADABLE as error:
                reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
                emit("warning", text=f"checkpoint {folder} cannot be read ({reason}): passed over")
                continue
            self._remove_after(folder.name)
            return host
        if _folders(self._latest):
            raise OSError(
                f"no checkpoint in {self._latest} can be read; remove the folder to begin again"
            )
        self._remove_after("")
        return None

    def _remove_after(self, name: str) -> None:
        """Removes the checkpoints of steps after that of a folder's name."""
        if not self._writes:
            return
        # The latest first: killed on the way, none is left without the best of its history.
        for root in (self._latest, self._best):
            for folder in reversed(_folders(root)):
                if folder.name > name:
                    shutil.rmtree(folder)

    def restore(self, step: int) -> Host:
        """Restores the checkpoint of a step, which another process found to be whole.

        Raises:
            OSError, ValueError, IndexError, AssertionError, tf.errors.OpError: if this process
                cannot read it.
        """
        return self._read(self._latest / _name(step))

    def _read(self, folder: Path) -> Host:
        host = json.loads((folder / _HOST).read_text(encoding="utf-8"))
        self._whole.read(str(folder / _FILES)).assert_existing_objects_matched()
        return host

    def save_latest(self, host: Mapping[str, Any]) -> None:
        """Saves the whole training, and removes what no rerun needs any more."""
        written = self._save(self._whole, self._latest, host)
        if written is None:
            return
        for old in _folders(self._latest)[: -self._keep]:
            if old != written:
                shutil.rmtree(old)
        oldest = _folders(self._latest)[0]
        passed = [folder for folder in _folders(self._best) if folder.name <= oldest.name]
        for old in passed[:-1]:
            shutil.rmtree(old)

    def save_best(self) -> None:
        """Saves the weights as the best ones.

        Comes before `save_latest`, which removes earlier ones: killed in between, the rerun goes
        on from before and has the best ones of that time. It repeats the epoch, or the evaluation
        alone if that is what its checkpoint owes, and normally saves the same bits once more.
        """
        self._save(self._model, self._best, {})

    def restore_best(self) -> int:
        """Restores the weights of the best checkpoint; returns its step."""
        folder = _folders(self._best)[-1]
        self._model.read(str(folder / _FILES)).assert_existing_objects_matched()
        return int(self._state.step.numpy())

    def _save(
        self, checkpoint: tf.train.Checkpoint, root: Path, host: Mapping[str, Any]
    ) -> Path | None:
        """Saves the current step; returns its folder, None if this process does not write."""
        if not self._writes:
            with tempfile.TemporaryDirectory(prefix="checkpoint-") as elsewhere:
                checkpoint.write(os.path.join(elsewhere, _FILES))
            return None
        step = int(self._state.step.numpy())
        root.mkdir(parents=True, exist_ok=True)
        partial = root / f"{_PARTIAL}{os.uname().nodename}-{os.getpid()}"
        shutil.rmtree(partial, ignore_errors=True)
        checkpoint.write(str(partial / _FILES))
        (partial / _HOST).write_text(json.dumps(host), encoding="utf-8")
        final = root / _name(step)
        aside = root / f"{_ASIDE}{_name(step)}"
        if final.exists():
            shutil.rmtree(aside, ignore_errors=True)
            final.rename(aside)
        partial.rename(final)
        shutil.rmtree(aside, ignore_errors=True)
        return final


def load_best(folder: str, model: keras.Model) -> int:
    """Reads the best checkpoint of a training's folder into a model; returns its step."""
    step = tf.Variable(0, dtype=tf.int64, trainable=False)
    path = _folders(Path(folder) / "best")[-1] / _FILES
    tf.train.Checkpoint(model=model, step=step).read(str(path)).assert_existing_objects_matched()
    return int(step.numpy())


def _name(step: int) -> str:
    return f"step-{step:010d}"


def _clean(root: Path) -> None:
    """Ends what a save that was killed had begun: the checkpoint is the new one or the old one."""
    for abandoned in root.glob(f"{_PARTIAL}*"):
        shutil.rmtree(abandoned)
    for aside in sorted(root.glob(f"{_ASIDE}*")):
        final = root / aside.name.removeprefix(_ASIDE)
        if final.exists():
            shutil.rmtree(aside)
        else:
            aside.rename(final)


def _folders(root: Path) -> list[Path]:
    """Returns the checkpoints in a folder, the oldest first."""
    return sorted(root.glob("step-*"))
