"""What new data would change in a schema, and that the data which it is from change nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tensorflow_metadata.proto.v0 import schema_pb2

from components.schema_file.diff import Change


@pytest.fixture(scope="module")
def frame():
    random = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "size": random.normal(0, 1, 90),
            "hour": random.integers(0, 24, 90),
            "payment": ["card", "cash", "voucher"] * 30,
            "note": [f"text {index % 7}" if index % 3 else None for index in range(90)],
            "tipped": random.integers(0, 2, 90),
        }
    )


@pytest.fixture
def infer(tmp_path):
    """Returns the statistics of each split, a third of the rows each, and the schema of them."""
    import tensorflow_data_validation as tfdv

    from components.example_gen.config import SPLITS
    from components.schema_file.inferred import inferred_schema

    def run(frame):
        statistics = []
        for index, split in enumerate(SPLITS):
            rows = frame.iloc[index * 30 : index * 30 + 30].reset_index(drop=True)
            folder = Path(tmp_path, f"Split-{split}")
            folder.mkdir(exist_ok=True)
            statistics.append(tfdv.generate_statistics_from_dataframe(rows))
            (folder / "FeatureStats.pb").write_bytes(statistics[-1].SerializeToString())
        return inferred_schema(str(tmp_path), "tipped"), statistics

    return run


@pytest.fixture
def changes(infer, frame):
    """Returns the changes of other data in the schema of `frame`, which a reviewer may edit."""
    from components.schema_file.diff import changes as compare

    def run(other, edit=lambda schema: None):
        frozen, _ = infer(frame)
        edit(frozen)
        return compare(frozen, *infer(other))

    return run


def test_schema_when_inferred_covers_all_splits_and_leaves_the_label_out_of_serving(infer, frame):
    late = frame.assign(payment=["card"] * 60 + ["voucher"] * 30)
    schema, statistics = infer(late)
    (domain,) = [found for found in schema.string_domain if found.name == "payment"]
    assert sorted(domain.value) == ["card", "voucher"]
    assert list(schema.default_environment) == ["TRAINING", "SERVING"]
    label = next(feature for feature in schema.feature if feature.name == "tipped")
    assert list(label.not_in_environment) == ["SERVING"]

    import tensorflow_data_validation as tfdv

    for split in statistics:
        found = tfdv.validate_statistics(split, schema, environment="TRAINING")
        assert not found.anomaly_info


def test_changes_when_the_data_are_the_same_then_are_none(changes, frame):
    assert changes(frame) == []


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("hour", None, Change("hour", "removed", "INT", "")),
        ("tolls", 1.5, Change("tolls", "added", "", "FLOAT")),
        ("hour", 1.5, Change("hour", "type", "INT", "FLOAT")),
        ("hour", "noon", Change("hour", "type", "INT", "BYTES")),
        ("payment", "card", Change("payment", "domain: gone", "'cash', 'voucher'", "")),
        (
            "payment",
            ["card", "cash", "voucher", "coin"] * 22 + ["card"] * 2,
            Change("payment", "domain: new", "", "'coin'"),
        ),
        ("payment", [f"p{n}" for n in range(90)], None),
    ],
)
def test_changes_name_what_is_added_removed_or_of_another_kind(
    changes, frame, name, values, expected
):
    other = frame.drop(columns=name) if values is None else frame.assign(**{name: values})
    found = changes(other)
    if expected is None:
        assert [(one.feature, one.what.split(":")[0]) for one in found][:1] == [(name, "domain")]
    else:
        assert found == [expected]


def test_changes_when_values_are_missing_then_presence_is_another(changes, frame):
    missing = frame["size"].where(np.arange(90) % 2 == 0)
    assert changes(frame.assign(size=missing)) == [
        Change("size", "presence", "in 100% of the rows or more", "optional")
    ]


def test_changes_when_rows_have_more_values_then_valency_is_another():
    from components.schema_file.diff import changes

    frozen, inferred = schema_pb2.Schema(), schema_pb2.Schema()
    frozen.feature.add(name="size", type=schema_pb2.FLOAT).shape.dim.add(size=1)
    inferred.feature.add(name="size", type=schema_pb2.FLOAT).value_count.min = 1
    assert changes(frozen, inferred, []) == [Change("size", "valency", "1", "1 or more")]


def test_changes_when_numbers_leave_the_range_of_the_file_then_show_those_of_the_data(
    changes, frame
):
    def limit(schema: schema_pb2.Schema, high: int = 30) -> None:
        feature = next(found for found in schema.feature if found.name == "hour")
        feature.int_domain.min, feature.int_domain.max = 0, high

    assert changes(frame, limit) == []
    beyond = frame.assign(hour=[-3, 50] + [12] * 88)
    assert changes(beyond, limit) == [Change("hour", "range", "0 to 30", "-3 to 50")]
