"""Reads what the data nodes of a run wrote, in forms that two runs can be compared by."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf import message, text_format
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

SPLITS = ("train", "eval", "test")


def artifact(summary: dict[str, Any], node: str, key: str) -> Path:
    """Returns the folder of a node's only output of that name."""
    pipeline = Path(summary["run_dir"]).parent.parent
    (folder,) = [
        path for path in (pipeline / "artifacts" / node / key).iterdir() if path.name.isdecimal()
    ]
    return folder


def schema(summary: dict[str, Any]) -> schema_pb2.Schema:
    text = (artifact(summary, "SchemaGen", "schema") / "schema.pbtxt").read_text()
    return text_format.Parse(text, schema_pb2.Schema())


def vocabularies(summary: dict[str, Any]) -> dict[str, bytes]:
    """Returns the files that Transform's graph looks things up in."""
    graph = artifact(summary, "Transform", "transform_graph") / "transform_fn"
    return {path.name: path.read_bytes() for path in (graph / "assets").glob("*")}


def rows(summary: dict[str, Any], node: str, key: str) -> dict[str, list[Any]]:
    """Returns the examples of each split, sorted by what they are: a map has no order."""
    found = {}
    for split in SPLITS:
        folder = artifact(summary, node, key) / f"Split-{split}"
        if folder.is_dir():
            records = tf.data.TFRecordDataset([str(path) for path in folder.glob("*")], "GZIP")
            found[split] = sorted(map(_canonical, records.as_numpy_iterator()))
    return found


def weights(summary: dict[str, Any]) -> dict[str, bytes]:
    """Returns the variables of the pushed model."""
    reader = tf.train.load_checkpoint(str(Path(summary["servable"], "variables", "variables")))
    names = set(reader.get_variable_to_shape_map()) - {"_CHECKPOINTABLE_OBJECT_GRAPH"}
    return {name: reader.get_tensor(name).tobytes() for name in names}


def statistics(summary: dict[str, Any]) -> dict[str, Any]:
    """Returns every figure of the statistics by where it is: numbers and texts."""
    found: dict[str, Any] = {}
    for split in SPLITS:
        folder = artifact(summary, "StatisticsGen", "statistics") / f"Split-{split}"
        parsed = statistics_pb2.DatasetFeatureStatisticsList.FromString(
            (folder / "FeatureStats.pb").read_bytes()
        )
        (data,) = parsed.datasets
        for feature in data.features:
            name = "/".join(feature.path.step) or feature.name
            found.update({f"{split}/{name}{place}": x for place, x in _leaves(feature)})
    return found


def differing(first: dict[str, Any], second: dict[str, Any], relative: float) -> list[str]:
    """Returns the places where two statistics differ by more than `relative`."""
    places = sorted(first.keys() ^ second.keys())
    for place in first.keys() & second.keys():
        a, b = first[place], second[place]
        if isinstance(a, float):
            if not np.isclose(a, b, rtol=relative, atol=0.0, equal_nan=True):
                places.append(f"{place}: {a!r}, {b!r}")
        elif a != b:
            places.append(f"{place}: {a!r}, {b!r}")
    return places


def _canonical(record: bytes) -> tuple[tuple[str, bytes], ...]:
    features = tf.train.Example.FromString(record).features.feature
    return tuple((name, features[name].SerializeToString()) for name in sorted(features))


def _leaves(node: message.Message, place: str = "") -> Iterator[tuple[str, Any]]:
    for field, value in node.ListFields():
        values = value if field.label == field.LABEL_REPEATED else [value]
        for index, item in enumerate(values):
            inner = f"{place}.{field.name}[{index}]"
            if isinstance(item, message.Message):
                yield from _leaves(item, inner)
            else:
                yield inner, item
