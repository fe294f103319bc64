"""Reads what StatisticsGen wrote."""

from __future__ import annotations

from pathlib import Path

from tensorflow_metadata.proto.v0 import statistics_pb2

from components.example_gen.config import SPLITS


def load_statistics(statistics_uri: str, split: str) -> statistics_pb2.DatasetFeatureStatisticsList:
    """Returns the statistics of one split.

    Raises:
        FileNotFoundError: if there are none.
    """
    content = Path(statistics_uri, f"Split-{split}", "FeatureStats.pb").read_bytes()
    return statistics_pb2.DatasetFeatureStatisticsList.FromString(content)


def row_counts(statistics_uri: str) -> dict[str, int]:
    """Returns the rows of each split, as StatisticsGen counted them."""
    return {
        split: int(load_statistics(statistics_uri, split).datasets[0].num_examples)
        for split in SPLITS
    }


def feature_statistics(
    statistics: statistics_pb2.DatasetFeatureStatisticsList, name: str
) -> statistics_pb2.FeatureNameStatistics | None:
    """Returns the statistics of a feature by its name, the steps of its path with dots between."""
    return features_by_name(statistics).get(name)


def features_by_name(
    statistics: statistics_pb2.DatasetFeatureStatisticsList,
) -> dict[str, statistics_pb2.FeatureNameStatistics]:
    """Returns the statistics of every feature by its name."""
    return {
        ".".join(feature.path.step) or feature.name: feature
        for feature in statistics.datasets[0].features
    }
