"""The gan's ready configuration, through the whole pipeline."""

from __future__ import annotations

import json
from pathlib import Path

import pytest


@pytest.mark.slow
def test_gan_when_run_whole_then_its_distance_falls_and_its_generator_is_served(
    tapeline, repository, tmp_path
):
    config = str(repository / "configs" / "gan.yaml")
    root = f"root={tmp_path}"
    done = tapeline("run", config, "--set", root, "--json", cwd=tmp_path)
    assert done.code == 0, done
    assert done.summary["status"] == "pushed"
    assert done.summary["metrics"]["sample/frechet"] < 40

    (history,) = tmp_path.glob("gan/artifacts/Trainer/model_run/*/history.jsonl")
    epochs = [json.loads(line)["eval"]["sample/frechet"] for line in history.open()]
    assert epochs[-1] < epochs[0] / 2
    picture = Path(history.parent, "samples", f"epoch-{len(epochs):04d}.png")
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert (history.parent / "tensorboard" / "samples").is_dir()

    seeds = tmp_path / "seeds.json"
    seeds.write_text('[{"seed": 1}, {"seed": 2}]')
    asked = tapeline(
        "predict", config, str(seeds), "--set", root, "--signature", "generate", cwd=tmp_path
    )
    images = [json.loads(line)["image"] for line in asked.stdout.splitlines()]
    assert [(len(image), len(image[0])) for image in images] == [(8, 8), (8, 8)]
    assert images[0] != images[1]
