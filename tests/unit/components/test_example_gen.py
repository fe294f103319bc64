"""ExampleGen of bundled data: what a row becomes, which split it falls into, and both again."""

import json

import pytest
import tensorflow as tf
from pydantic import ValidationError
from tfx.dsl.components.base import base_beam_executor
from tfx.types import artifact_utils, standard_artifacts

from components.example_gen import executor
from components.example_gen.component import SklearnExampleGen
from components.example_gen.config import SPLITS, DataConfig, SplitsConfig
from components.example_gen.executor import Executor, split_counts, to_example
from components.example_gen.sklearn_source import load_columns, rows

DATA = DataConfig(
    dataset="breast_cancer",
    label="diagnosis",
    limit=120,
    splits=SplitsConfig(train=50, eval=20, test=30),
)


def canonical(example):
    """An example as bytes that are the same whenever the content is."""
    return example.SerializeToString(deterministic=True)


def write(folder, data=DATA):
    """Runs the component's executor; returns the Examples artifact."""
    examples = standard_artifacts.Examples()
    examples.uri = str(folder)
    context = base_beam_executor.BaseBeamExecutor.Context(
        beam_pipeline_args=["--runner=DirectRunner", "--direct_running_mode=in_memory"]
    )
    properties = dict(SklearnExampleGen(data, code="hash").exec_properties)
    Executor(context).Do({}, {"examples": [examples]}, properties)
    return examples


def read(examples):
    """Returns the rows of each split, in the order of the files."""
    found = {}
    for split in artifact_utils.decode_split_names(examples.split_names):
        files = tf.io.gfile.glob(artifact_utils.get_split_uri([examples], split) + "/*.gz")
        records = tf.data.TFRecordDataset(sorted(files), compression_type="GZIP")
        found[split] = [tf.train.Example.FromString(record.numpy()) for record in records]
    return found


@pytest.fixture(scope="module")
def artifact_of_data(tmp_path_factory):
    return write(tmp_path_factory.mktemp("examples"))


@pytest.fixture(scope="module")
def written(artifact_of_data):
    return read(artifact_of_data)


def test_to_example_when_values_are_of_each_kind_then_go_to_the_list_of_that_kind():
    example = to_example(
        {"n": 3, "x": 0.5, "s": "é", "ns": [1, 2], "xs": [1.5, 2], "ss": ["a", "b"]}
    )
    feature = example.features.feature
    assert feature["n"].int64_list.value == [3]
    assert feature["x"].float_list.value == [0.5]
    assert feature["s"].bytes_list.value == ["é".encode()]
    assert feature["ns"].int64_list.value == [1, 2]
    assert feature["xs"].float_list.value == [1.5, 2.0]
    assert feature["ss"].bytes_list.value == [b"a", b"b"]
    assert len(feature) == 6


@pytest.mark.parametrize(
    "value", [None, [None], {"a": 1}, [1, "a"], ["a", 1.5], [[1], [2]], b"raw"]
)
def test_to_example_when_a_value_is_neither_numbers_nor_text_then_names_column_and_value(value):
    with pytest.raises(TypeError) as error:
        to_example({"good": 1, "bad": value})
    assert str(error.value) == f"column 'bad': found {value!r}; allowed: numbers or text"


def test_executor_when_run_then_every_row_is_in_exactly_one_split(written):
    found = [canonical(example) for split in written.values() for example in split]
    columns = load_columns(DATA.dataset, DATA.limit)
    assert sorted(found) == sorted(canonical(to_example(row)) for row in rows(columns))
    assert len(found) == 120


def test_executor_when_run_then_the_artifact_names_its_splits(artifact_of_data):
    assert artifact_utils.decode_split_names(artifact_of_data.split_names) == list(SPLITS)


def test_split_counts_when_the_component_has_run_then_are_the_rows_it_wrote(written):
    counts = {split: len(examples) for split, examples in written.items()}
    assert split_counts(DATA) == counts
    assert min(counts.values()) > 0


@pytest.mark.parametrize("dataset", ["digits", "breast_cancer"])
def test_split_counts_when_all_rows_are_taken_then_shares_are_about_those_of_the_config(dataset):
    data = DataConfig(dataset=dataset, label="x", splits=SplitsConfig(train=8, eval=1, test=1))
    counts = split_counts(data)
    total = sum(counts.values())
    assert total == len(next(iter(load_columns(dataset).values())))
    assert counts["train"] / total == pytest.approx(0.8, abs=0.05)
    assert counts["eval"] / total == pytest.approx(0.1, abs=0.05)


def test_executor_when_run_again_then_writes_the_same_rows_in_the_same_order(written, tmp_path):
    assert read(write(tmp_path)) == written


def test_split_of_a_row_when_other_rows_come_in_another_order_then_is_the_same(
    written, tmp_path, monkeypatch
):
    def last_rows_backwards(dataset, limit):
        return {name: column[:49:-1] for name, column in load_columns(dataset, limit).items()}

    monkeypatch.setattr(executor, "load_columns", last_rows_backwards)
    fewer = read(write(tmp_path))

    assert sum(map(len, fewer.values())) == 70
    for split in SPLITS:
        assert fewer[split], "a split without rows would prove nothing"
        assert {canonical(example) for example in fewer[split]} <= {
            canonical(example) for example in written[split]
        }


def test_component_when_data_or_code_differ_then_so_do_its_properties():
    """Its properties are what the cache compares."""
    base = SklearnExampleGen(DATA, code="1").exec_properties
    assert SklearnExampleGen(DATA, code="1").exec_properties == base
    for changed in (
        SklearnExampleGen(DATA, code="2"),
        SklearnExampleGen(DATA.model_copy(update={"limit": 119}), code="1"),
        SklearnExampleGen(DATA.model_copy(update={"dataset": "digits"}), code="1"),
        SklearnExampleGen(DATA.model_copy(update={"splits": SplitsConfig()}), code="1"),
    ):
        assert changed.exec_properties != base


def test_component_when_made_then_its_splits_have_the_shares_of_the_config():
    output = json.loads(SklearnExampleGen(DATA, code="1").exec_properties["output_config"])
    assert output["split_config"]["splits"] == [
        {"name": "train", "hash_buckets": 50},
        {"name": "eval", "hash_buckets": 20},
        {"name": "test", "hash_buckets": 30},
    ]


@pytest.mark.parametrize(
    "bad",
    [
        {"dataset": "iris"},
        {"limit": 0},
        {"label": ""},
        {"splits": {"train": 0}},
        {"source": "csv"},
        {"columns": []},
    ],
    ids=str,
)
def test_data_config_when_a_value_is_not_allowed_then_names_its_key(bad):
    with pytest.raises(ValidationError, match=next(iter(bad))):
        DataConfig.model_validate({"dataset": "digits", "label": "digit", **bad})
