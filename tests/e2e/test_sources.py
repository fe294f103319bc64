"""Every kind of data that is read: `init`, `run` and `predict`, with no edit and no code."""

from __future__ import annotations

import gzip
import io
import json
import struct
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

pytestmark = pytest.mark.slow

ASKED = 40


def digits() -> tuple[np.ndarray, np.ndarray]:
    """scikit-learn's digits: pictures [1797, 16, 16] uint8, each pixel doubled, and labels."""
    from sklearn.datasets import load_digits

    found = load_digits()
    pictures = (found.images * 255 / 16).astype(np.uint8)
    return pictures.repeat(2, axis=1).repeat(2, axis=2), found.target


def png(picture: np.ndarray) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()


def tumours() -> pd.DataFrame:
    """scikit-learn's breast cancer data: numbers, a category, empty cells."""
    from sklearn.datasets import load_breast_cancer

    found = load_breast_cancer(as_frame=True)
    table = found.data.iloc[:, :8].rename(columns=lambda name: name.replace(" ", "_"))
    table["size"] = pd.cut(found.data["worst area"], 3, labels=["small", "mid", "large"]).astype(
        str
    )
    table.loc[::7, "mean_texture"] = np.nan
    table["diagnosis"] = np.where(found.target == 0, "malignant", "benign")
    return table


def write_image_folder(folder: Path) -> Path:
    for number, (picture, label) in enumerate(zip(*digits(), strict=True)):
        path = folder / "pictures" / str(label) / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(picture))
    return folder / "pictures"


def write_tar(folder: Path) -> Path:
    pictures = write_image_folder(folder)
    with tarfile.open(folder / "pictures.tar.gz", "w:gz") as archive:
        archive.add(pictures, "pictures")
    return folder / "pictures.tar.gz"


def write_npz(folder: Path) -> Path:
    pictures, labels = digits()
    np.savez_compressed(folder / "digits.npz", x=pictures, y=labels)
    return folder / "digits.npz"


def write_idx(folder: Path) -> Path:
    """MNIST's four files, two of them as they come and two compressed."""
    pictures, labels = digits()
    place = folder / "idx"
    place.mkdir()
    for part, rows in (("train", slice(0, 1500)), ("t10k", slice(1500, None))):
        shape = pictures[rows].shape
        images = struct.pack(">BBBB3I", 0, 0, 8, 3, *shape) + pictures[rows].tobytes()
        numbers = struct.pack(">BBBBI", 0, 0, 8, 1, shape[0]) + labels[rows].astype("u1").tobytes()
        (place / f"{part}-images-idx3-ubyte").write_bytes(images)
        (place / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(numbers))
    return place


def write_tfrecord(folder: Path) -> Path:
    import tensorflow as tf

    path = folder / "tumours.tfrecord.gz"
    with tf.io.TFRecordWriter(str(path), "GZIP") as file:
        for row in tumours().to_dict("records"):
            example = tf.train.Example()
            for name, value in row.items():
                if isinstance(value, str):
                    example.features.feature[name].bytes_list.value.append(value.encode())
                elif not np.isnan(value):
                    example.features.feature[name].float_list.value.append(value)
            file.write(example.SerializeToString())
    return path


def write_parquet(folder: Path) -> Path:
    tumours().to_parquet(folder / "tumours.parquet")
    return folder / "tumours.parquet"


def write_csv(folder: Path) -> Path:
    tumours().to_csv(folder / "tumours.csv", index=False)
    return folder / "tumours.csv"


def ask_pictures(folder: Path) -> tuple[Path, list[str]]:
    """Pictures to ask about, and what they show."""
    pictures, labels = digits()
    place = folder / "asked"
    place.mkdir()
    for number in range(ASKED):
        (place / f"{number:03}.png").write_bytes(png(pictures[number]))
    return place, [str(label) for label in labels[:ASKED]]


def ask_rows(folder: Path) -> tuple[Path, list[str]]:
    """Rows to ask about, and what they are."""
    asked = tumours()[:ASKED]
    asked.drop(columns="diagnosis").to_csv(folder / "asked.csv", index=False)
    return folder / "asked.csv", list(asked["diagnosis"])


class Source(NamedTuple):
    """Data of a kind.

    Attributes:
        write: makes them in a folder, and returns what `--data` is.
        label: what `--label` is; None where the data say it.
        ask: writes what to ask about, and returns it with the answers that are right.
        metric: of the summary.
        at_least: that a model worth its name has of it.
    """

    write: Callable[[Path], Path]
    label: str | None
    ask: Callable[[Path], tuple[Path, list[str]]]
    metric: str
    at_least: float


_PICTURES = (ask_pictures, "class/accuracy", 0.9)
_ROWS = (ask_rows, "label/auc", 0.95)

SOURCES = {
    "image_folder": Source(write_image_folder, None, *_PICTURES),
    "tar": Source(write_tar, None, *_PICTURES),
    "npz": Source(write_npz, "y", *_PICTURES),
    "idx": Source(write_idx, None, *_PICTURES),
    "tfrecord": Source(write_tfrecord, "diagnosis", *_ROWS),
    "parquet": Source(write_parquet, "diagnosis", *_ROWS),
    "csv": Source(write_csv, "diagnosis", *_ROWS),
}


@pytest.mark.parametrize("name", SOURCES)
def test_data_when_init_and_run_are_typed_then_a_model_is_pushed_that_answers(
    name, tmp_path, tapeline
):
    source = SOURCES[name]
    label = [] if source.label is None else ["--label", source.label]
    data = str(source.write(tmp_path).relative_to(tmp_path))
    looked = tapeline("init", "--data", data, *label, "-o", "x.yaml", cwd=tmp_path)
    assert looked.code == 0, looked

    done = tapeline("run", "x.yaml", "--json", cwd=tmp_path)
    assert done.code == 0, done
    assert done.summary["status"] == "pushed"
    assert sum(done.summary["rows"].values()) == (1797 if "class" in source.metric else 569)
    assert done.summary["metrics"][source.metric] >= source.at_least

    asked, truth = source.ask(tmp_path)
    answered = tapeline("predict", "x.yaml", str(asked), cwd=tmp_path)
    assert answered.code == 0, answered
    labels = [json.loads(line)["label"] for line in answered.stdout.splitlines()]
    assert len(labels) == ASKED
    assert sum(map(str.__eq__, labels, truth)) >= 0.85 * ASKED
