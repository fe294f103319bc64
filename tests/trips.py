"""A small table of trips, span by span: whether a passenger tips goes by how the trip was paid."""

from __future__ import annotations

import csv
import random
from pathlib import Path

CONFIG = """\
name: trips
data:
  source: csv
  path: PATH
  label: tipped
  columns: {distance: float, payment: text, tipped: int}
task:
  name: tabular
  options:
    problem: binary
    classes: [0, 1]
    hidden: [8]
    features:
      distance: {kind: numeric}
      payment: {kind: categorical, top_k: 8}
evaluate:
  metrics: [{name: auc, head: label, at_least: 0.5}]
serve: {batching: {max_batch_size: 8, allowed_batch_sizes: [1, 8]}}
"""
"""Without `train`; PATH is that of a span's `trips.csv`."""


def write_trips(folder: Path, seed: int) -> None:
    """Writes the 400 trips of a span into a folder that is not there yet."""
    folder.mkdir(parents=True)
    draw = random.Random(seed)
    with (folder / "trips.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["distance", "payment", "tipped"])
        for _ in range(400):
            distance, payment = draw.gauss(10, 2), draw.choice(["card", "cash"])
            tipped = int(payment == "card" and draw.random() < 0.9)
            writer.writerow([f"{distance:.3f}", payment, tipped])
