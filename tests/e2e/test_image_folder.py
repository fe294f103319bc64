"""From an image folder to a pushed model that is asked about pictures, with the image task."""

from __future__ import annotations

import base64
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest

COLOURS = ["blue", "green", "red"]
CLASSES = f"[{', '.join(COLOURS)}]"


def encoded(colour: str, number: int, scale: int = 1) -> bytes:
    """A noisy picture of 32 x 32 squares, bright in a channel; PNG and JPEG in turn.

    Its squares are `scale` pixels wide: resized, a larger one is like the others.
    """
    import tensorflow as tf

    pixels = np.random.default_rng(number).integers(0, 80, (32, 32, 3))
    pixels[..., ["red", "green", "blue"].index(colour)] += 150
    pixels = pixels.repeat(scale, axis=0).repeat(scale, axis=1)
    encode = tf.io.encode_jpeg if number % 2 else tf.io.encode_png
    return encode(pixels.astype(np.uint8)).numpy()


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """An archive of 90 pictures in folders by their class."""
    for number in range(90):
        colour = COLOURS[number % 3]
        place = tmp_path / "colours" / colour
        place.mkdir(parents=True, exist_ok=True)
        content = encoded(colour, number)
        (place / f"{number}.{'jpg' if number % 2 else 'png'}").write_bytes(content)
    with tarfile.open(tmp_path / "colours.tar", "w") as archive:
        archive.add(tmp_path / "colours", "colours")
    return tmp_path / "colours.tar"


def test_image_folder_becomes_a_pushed_model_that_knows_its_classes(
    pictures, tapeline, repository, tmp_path
):
    done = tapeline(
        "run", str(repository / "configs" / "cifar10.yaml"), "--json",
        "--set", f"data.path={pictures}",
        "--set", f"task={{name: image, options: {{classes: {CLASSES}, image_size: [24, 32], "
                 "network: small, filters: [8, 8]}}",
        "--set", "train.epochs=8", "--set", "train.batch_size=8",
        "--set", "train.best={metric: loss, mode: min}",
        "--set", "evaluate.metrics=[{name: accuracy, head: class, at_least: 0.8}]",
        cwd=tmp_path,
    )  # fmt: skip
    assert done.code == 0, done
    summary = done.summary
    assert summary["status"] == "pushed"
    assert sum(summary["rows"].values()) == 90
    assert min(summary["rows"].values()) > 3
    assert set(summary["slices"]) == {f"label:{colour}" for colour in COLOURS}

    rows = tmp_path / "rows.json"
    asked = [encoded("green", 101, scale=2), encoded("red", 102), encoded("blue", 103)]
    rows.write_text(
        "\n".join(
            json.dumps({"image": {"b64": base64.b64encode(picture).decode()}}) for picture in asked
        )
    )
    answered = tapeline("predict", summary["servable"], str(rows), cwd=tmp_path)
    assert answered.code == 0, answered
    labels = [json.loads(line)["label"] for line in answered.stdout.splitlines()]
    assert labels == ["green", "red", "blue"]
