"""Rows of the data that a version was trained on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.config_file import ConfigError
from pipeline.predict.sample_rows import SampleRows, sample_features
from serving.client.metadata import Signature


@pytest.fixture
def version_of(tmp_path):
    def make(manifest: dict[str, Any]) -> Path:
        path = tmp_path / "1" / "assets.extra" / "tapeline.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(manifest))
        return tmp_path / "1"

    return make


def test_sample_when_the_version_names_its_data_then_gives_rows_without_label(version_of) -> None:
    rows = sample_features(version_of({"data": {"dataset": "digits", "label": "digit"}}), 3)

    assert [set(row) for row in rows] == [{"image"}] * 3
    assert [len(row["image"]) for row in rows] == [64] * 3
    json.dumps(rows)


def test_sample_when_the_version_names_pictures_then_gives_them_as_bytes(
    version_of, tmp_path
) -> None:
    import tensorflow as tf

    encoded = tf.io.encode_png(np.zeros((2, 2, 3), np.uint8)).numpy()
    for path in ("cat/1.png", "dog/1.png"):
        (tmp_path / "data" / "train" / path).parent.mkdir(parents=True)
        (tmp_path / "data" / "train" / path).write_bytes(encoded)
    (tmp_path / "data" / "train" / "cat" / "0.png").write_bytes(b"no picture, and passed over")
    data = {"source": "image_folder", "path": str(tmp_path / "data"), "label": "label"}

    assert sample_features(version_of({"data": data}), 1) == [{"image": encoded}]


@pytest.mark.parametrize("data", [{}, {"dataset": "cats", "label": "cat"}, {"source": "csv"}])
def test_sample_when_the_version_does_not_say_what_it_was_trained_on_then_refuses(
    data, version_of
) -> None:
    folder = version_of({"data": data} if data else {})
    with pytest.raises(ConfigError) as caught:
        sample_features(folder, 3)
    assert str(caught.value) == (
        f"{folder}: --sample: found data {data}; "
        "allowed: a version that says what it was trained on; or ROWS instead"
    )


def test_sample_when_the_data_are_not_there_then_says_what_to_do(version_of) -> None:
    folder = version_of({"data": {"source": "image_folder", "path": "/nowhere"}})
    with pytest.raises(ConfigError) as caught:
        sample_features(folder, 3)
    found = str(caught.value)
    assert found.startswith(f"{folder}: --sample: found /nowhere: no such file or folder; allowed:")
    assert found.endswith("; or ROWS instead, where the data are not at hand")


def test_sample_when_read_then_each_row_has_its_number(version_of) -> None:
    folder = version_of({"data": {"dataset": "digits", "label": "digit"}})
    rows = SampleRows(folder, 2)
    assert rows.total == 2
    assert [(row.source, row.position) for row in rows.read(Signature({}, {}, ""))] == [
        (str(folder), "row 1"),
        (str(folder), "row 2"),
    ]
