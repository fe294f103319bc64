"""The schema that data have, as `schema freeze` writes it and `schema diff` compares it."""

from __future__ import annotations

import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import schema_pb2

from components.example_gen.config import SPLITS
from components.schema_file.features import with_environments
from components.statistics import load_statistics


def inferred_schema(statistics_uri: str, label: str) -> schema_pb2.Schema:
    """Returns what SchemaGen infers of the train split, widened to what eval and test have.

    The data that it was inferred from then have no anomaly by it. The label is not expected in
    serving.
    """
    first, *others = SPLITS
    schema = tfdv.infer_schema(load_statistics(statistics_uri, first), infer_feature_shape=True)
    for split in others:
        statistics = load_statistics(statistics_uri, split)
        if statistics.datasets[0].num_examples:
            schema = tfdv.update_schema(schema, statistics)
    return with_environments(schema, label)
