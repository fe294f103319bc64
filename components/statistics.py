"""Reads what StatisticsGen wrote."""

from __future__ import annotations

from pathlib import Path

from tensorflow_metadata.proto.v0 import statistics_pb2

from components.example_gen.config import SPLITS


def row_counts(statistics_uri: str) -> dict[str, int]:
    """Returns the rows of each split, as StatisticsGen counted them."""
    counts = {}
    for split in SPLITS:
        content = Path(statistics_uri, f"Split-{split}", "FeatureStats.pb").read_bytes()
        listed = statistics_pb2.DatasetFeatureStatisticsList.FromString(content)
        counts[split] = int(listed.datasets[0].num_examples)
    return counts
