"""TensorBoard's event files: TFRecords of Event messages, in one file a writer."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping

import numpy as np
import tensorflow as tf
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.histogram.summary_v2 import histogram_pb
from tensorboard.plugins.image.metadata import create_summary_metadata
from tensorboard.util.tensor_util import make_tensor_proto


class EventWriter:
    """Writes one event file of a run's folder.

    `tf.summary` takes an operation a value, half a millisecond each where that was measured; one
    message with all values of a step takes 30 microseconds.

    Args:
        folder: of the run; made if it is missing.
        resumed_from: step of the checkpoint that a training goes on from. What earlier files of
            the folder say of later steps is void: TensorBoard drops it at any SessionLog START but
            the first.
    """

    def __init__(self, folder: str, resumed_from: int = 0) -> None:
        os.makedirs(folder, exist_ok=True)
        host, process = os.uname().nodename, os.getpid()
        # TensorBoard reads the files of a folder in the order of their names.
        name = f"events.out.tfevents.{time.time():020.6f}.{host}.{process}"
        self._records = tf.io.TFRecordWriter(os.path.join(folder, name))
        self._write(Event(file_version="brain.Event:2"))
        start = SessionLog(status=SessionLog.START)
        self._write(Event(session_log=start, step=resumed_from + 1))

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        summary = Summary(
            value=[Summary.Value(tag=name, simple_value=value) for name, value in values.items()]
        )
        self._write(Event(summary=summary, step=step))

    def histogram(self, step: int, name: str, values: np.ndarray) -> None:
        """Writes how the finite ones among the values are distributed."""
        self.summary(step, histogram_pb(name, values[np.isfinite(values)]))

    def images(self, step: int, name: str, images: np.ndarray) -> None:
        """Writes pictures, [n, height, width, 1, 3 or 4] uint8."""
        pictures = [tf.io.encode_png(image).numpy() for image in images]
        size = [str(side).encode() for side in (images.shape[2], images.shape[1])]
        value = Summary.Value(
            tag=name,
            metadata=create_summary_metadata(display_name=None, description=None),
            tensor=make_tensor_proto([*size, *pictures]),
        )
        self.summary(step, Summary(value=[value]))

    def summary(self, step: int, summary: Summary) -> None:
        self._write(Event(summary=summary, step=step))

    def flush(self) -> None:
        self._records.flush()

    def close(self) -> None:
        self._records.close()

    def _write(self, event: Event) -> None:
        event.wall_time = time.time()
        self._records.write(event.SerializeToString())
