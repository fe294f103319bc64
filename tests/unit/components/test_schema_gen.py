"""The schema that SchemaGen infers has one order of features, whatever that of the statistics."""

import pandas as pd
import pytest
import tensorflow_data_validation as tfdv
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2
from tfx.types.standard_artifacts import ExampleStatistics, Schema

from components.schema_gen import SchemaGenExecutor


@pytest.fixture
def schema_of(tmp_path):
    """Runs the executor on statistics whose features come in a given order."""
    table = pd.DataFrame({"straße": ["a", "ü"] * 9, "fare": [1.5, 2.5] * 9, "company": ["x"] * 18})
    whole = tfdv.generate_statistics_from_dataframe(table)

    def run(names):
        statistics, schema = ExampleStatistics(), Schema()
        statistics.uri, schema.uri = str(tmp_path / "-".join(names)), str(tmp_path / "schema")
        statistics.split_names = '["train"]'
        found = statistics_pb2.DatasetFeatureStatisticsList()
        found.CopyFrom(whole)
        features = {feature.path.step[0]: feature for feature in whole.datasets[0].features}
        del found.datasets[0].features[:]
        found.datasets[0].features.extend(features[name] for name in names)
        folder = tmp_path / "-".join(names) / "Split-train"
        folder.mkdir(parents=True)
        (folder / "FeatureStats.pb").write_bytes(found.SerializeToString())
        SchemaGenExecutor().Do(
            {"statistics": [statistics]},
            {"schema": [schema]},
            {"infer_feature_shape": 1, "exclude_splits": "[]"},
        )
        return (tmp_path / "schema" / "schema.pbtxt").read_text(encoding="utf-8")

    return run


def test_schema_when_the_statistics_come_in_another_order_then_is_the_same_file(schema_of):
    text = schema_of(["straße", "company", "fare"])
    assert schema_of(["fare", "straße", "company"]) == text
    schema = text_format.Parse(text, schema_pb2.Schema())
    assert [feature.name for feature in schema.feature] == ["company", "fare", "straße"]
    assert [domain.name for domain in schema.string_domain] == ["company", "straße"]
    assert list(schema.string_domain[1].value) == ["a", "ü"]
