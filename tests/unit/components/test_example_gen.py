"""ExampleGen: each row of a source in one split, the same ones again, and what the cache sees."""

import re
from pathlib import Path

import pytest
import tensorflow as tf
from tfx.orchestration.portable.data_types import ExecutionInfo
from tfx.types import artifact_utils, standard_artifacts

from components.example_gen import sklearn_source
from components.example_gen.component import SourceExampleGen
from components.example_gen.config import (
    SPLITS,
    CsvConfig,
    ImageFolderConfig,
    SklearnConfig,
    SplitsConfig,
)
from components.example_gen.driver import SourceDriver
from components.example_gen.examples import intake_of, to_example
from components.example_gen.query import AS_CONFIGURED, SPAN_WANTED
from components.example_gen.sklearn_source import load_columns, rows
from components.example_gen.source import DataError
from components.example_gen.sources import make_source
from components.example_gen.tables import csv_reader

DATA = SklearnConfig(
    dataset="breast_cancer",
    label="diagnosis",
    limit=120,
    splits=SplitsConfig(train=50, eval=20, test=30),
)


def canonical(example):
    """An example as bytes that are the same whenever the content is."""
    return example.SerializeToString(deterministic=True)


def read(examples):
    """Returns the rows of each split, in the order of the files."""
    found = {}
    for split in artifact_utils.decode_split_names(examples.split_names):
        files = tf.io.gfile.glob(artifact_utils.get_split_uri([examples], split) + "/*.gz")
        records = tf.data.TFRecordDataset(sorted(files), compression_type="GZIP")
        found[split] = [tf.train.Example.FromString(record.numpy()) for record in records]
    return found


@pytest.fixture(scope="module")
def artifact_of_data(tmp_path_factory, ingest):
    return ingest(tmp_path_factory.mktemp("examples"), DATA)


@pytest.fixture(scope="module")
def written(artifact_of_data):
    return read(artifact_of_data)


def test_executor_when_run_then_every_row_is_in_exactly_one_split(written):
    found = [canonical(example) for split in written.values() for example in split]
    columns = load_columns(DATA.dataset, DATA.limit)
    assert sorted(found) == sorted(canonical(to_example(row)) for row in rows(columns))
    assert len(found) == 120


def test_executor_when_run_then_leaves_nothing_but_the_splits_and_their_accounts(artifact_of_data):
    assert sorted(path.name for path in Path(artifact_of_data.uri).iterdir()) == sorted(
        ["intake.json", "sources.json", *(f"Split-{split}" for split in SPLITS)]
    )


def test_executor_when_run_then_the_artifact_names_its_splits(artifact_of_data):
    assert artifact_utils.decode_split_names(artifact_of_data.split_names) == list(SPLITS)


def test_split_counts_when_the_component_has_run_then_are_the_rows_it_wrote(written):
    counts = {split: len(examples) for split, examples in written.items()}
    assert intake_of(make_source(DATA)).splits == counts
    assert min(counts.values()) > 0


def test_executor_when_run_again_then_writes_the_same_rows_in_the_same_order(
    written, tmp_path, ingest
):
    assert read(ingest(tmp_path, DATA)) == written


def test_split_of_a_row_when_other_rows_come_in_another_order_then_is_the_same(
    written, tmp_path, monkeypatch, ingest
):
    def last_rows_backwards(dataset, limit):
        return {name: column[:49:-1] for name, column in load_columns(dataset, limit).items()}

    monkeypatch.setattr(sklearn_source, "load_columns", last_rows_backwards)
    fewer = read(ingest(tmp_path, DATA))

    assert sum(map(len, fewer.values())) == 70
    for split in SPLITS:
        assert fewer[split], "a split without rows would prove nothing"
        assert {canonical(example) for example in fewer[split]} <= {
            canonical(example) for example in written[split]
        }


def resolved(component, span=AS_CONFIGURED):
    """What the cache compares of the node: its parameters and output after the driver."""
    properties = {**component.exec_properties, SPAN_WANTED: span}
    info = ExecutionInfo(
        exec_properties=properties, output_dict={"examples": [standard_artifacts.Examples()]}
    )
    return SourceDriver(None).run(info)


def test_component_when_data_or_code_differ_then_so_do_its_properties():
    base = resolved(SourceExampleGen(DATA, code="1"))
    assert resolved(SourceExampleGen(DATA, code="1")) == base
    for changed in (
        SourceExampleGen(DATA, code="2"),
        SourceExampleGen(DATA.model_copy(update={"limit": 119}), code="1"),
        SourceExampleGen(DATA.model_copy(update={"dataset": "digits"}), code="1"),
        SourceExampleGen(DATA.model_copy(update={"splits": SplitsConfig()}), code="1"),
    ):
        assert resolved(changed) != base


@pytest.fixture
def spans(tmp_path):
    """A component that reads CSV files by the day, and writes one."""

    def write(day, text="a,b\n1,2\n"):
        (tmp_path / f"{day}.csv").write_text(text)

    write("2026-01-01")
    write("2026-01-02")
    path = str(tmp_path / "{YYYY}-{MM}-{DD}.csv")
    return SourceExampleGen(CsvConfig(source="csv", path=path, label="b"), code="1"), write


def test_driver_when_a_span_comes_then_the_same_component_reads_another(spans):
    component, write = spans
    before = resolved(component)
    assert resolved(component) == before
    assert resolved(component, "2026-01-02") == before
    (example,) = before.output_artifacts["examples"].artifacts
    assert example.custom_properties["span"].int_value == 20455
    assert example.custom_properties["input_fingerprint"].string_value
    write("2026-01-03")
    after = resolved(component)
    assert after != before
    assert after.output_artifacts["examples"].artifacts[0].custom_properties["span"].int_value == (
        20456
    )
    assert resolved(component, "2026-01-02") == before


def test_driver_when_a_file_changes_then_the_data_are_others_to_the_cache(spans):
    component, write = spans
    before = resolved(component)
    write("2026-01-02", "a,b\n1,2\n3,4\n")
    assert resolved(component) != before


@pytest.mark.parametrize(
    ("span", "found"),
    [
        ("2026-01-09", "no span 2026-01-09; allowed: null, or one of 2026-01-01, 2026-01-02"),
        ("monday", "span 'monday' wanted; allowed: a number, or a date such as 2026-01-31"),
    ],
)
def test_driver_when_the_span_is_not_there_then_says_which_are(spans, span, found):
    with pytest.raises(DataError, match=re.escape(found)):
        resolved(spans[0], span)


def test_driver_when_the_data_have_no_spans_then_wants_none():
    found = "breast_cancer: span 3 wanted; allowed: none: the data have no spans"
    with pytest.raises(DataError, match=found):
        resolved(SourceExampleGen(DATA, code="1"), "3")


@pytest.fixture
def pictures(picture, write_tar):
    """A configuration of 40 pictures to train on and 5 to test."""
    files = {f"train/{'cat' if i % 2 else 'dog'}/{i}.png": picture(i) for i in range(40)}
    files |= {f"test/cat/{i}.png": picture(i) for i in range(40, 45)}
    splits = SplitsConfig(train=30, eval=10, test=60)
    path = str(write_tar(files))
    return ImageFolderConfig(source="image_folder", path=path, splits=splits)


def test_executor_when_a_source_has_a_test_split_then_it_is_kept_and_train_is_divided(
    pictures, picture, tmp_path, ingest
):
    found = read(ingest(tmp_path / "examples", pictures))
    images = {
        split: {example.features.feature["image"].bytes_list.value[0] for example in examples}
        for split, examples in found.items()
    }
    assert images["test"] == {picture(i) for i in range(40, 45)}
    assert images["train"] | images["eval"] == {picture(i) for i in range(40)}
    assert not images["train"] & images["eval"]
    assert len(images["train"]) > len(images["eval"]) > 0
    assert intake_of(make_source(pictures)).splits == {
        split: len(examples) for split, examples in found.items()
    }


def test_executor_when_pictures_do_not_decode_then_the_error_names_them(
    write_tar, tmp_path, ingest
):
    files = {f"train/{name}/1.png": b"no picture" for name in ("cat", "dog")}
    data = ImageFolderConfig(source="image_folder", path=str(write_tar(files)))
    with pytest.raises(DataError) as error:
        ingest(tmp_path / "examples", data)
    first, *rows = str(error.value).splitlines()
    assert first.startswith(f"{data.path}: 2 of 2 rows are bad; allowed: none")
    assert [row.partition(": found")[0] for row in rows] == [
        f"  {data.path}: train/{name}/1.png: column 'image'" for name in ("cat", "dog")
    ]


@pytest.fixture
def csv_data(tmp_path):
    """Writes a CSV of 60 rows; returns its configuration."""

    def make(**keys):
        path = tmp_path / "data.csv"
        path.write_text("x,y\n" + "".join(f"{i},{i % 2}\n" for i in range(60)))
        return CsvConfig.model_validate({"source": "csv", "path": str(path), "label": "y"} | keys)

    return make


def test_executor_when_data_come_in_spans_then_the_examples_have_the_last_ones_number(
    csv_data, tmp_path, ingest
):
    rows = Path(csv_data().path).read_text()
    for day in (1, 2, 11):
        (tmp_path / f"1970-01-{day:02}.csv").write_text(rows)
    path = str(tmp_path / "{YYYY}-{MM}-{DD}.csv")
    assert ingest(tmp_path / "latest", csv_data(path=path, window=2)).span == 10
    assert make_source(csv_data(path=path, span="1970-01-02")).span() == 1
    assert make_source(csv_data()).span() == 0


@pytest.mark.parametrize("span", ["yesterday", True, 1.5])
def test_csv_config_when_the_span_is_no_number_or_date_then_is_refused(csv_data, span):
    with pytest.raises(ValueError, match="allowed: a number, or a date such as 2026-01-31"):
        csv_data(span=span)


def test_source_when_a_span_is_named_and_the_path_has_none_then_says_so(csv_data):
    with pytest.raises(DataError, match="span 3; allowed: null, since "):
        make_source(csv_data(span=3)).check()


def test_executor_when_a_split_gets_no_rows_then_says_which(csv_data, tmp_path, ingest):
    data = csv_data(splits={"by": "group", "column": "y"})
    with pytest.raises(
        DataError, match=r"no rows in split '.*' of 60 rows; allowed: a row or more"
    ):
        ingest(tmp_path / "examples", data)


def test_executor_when_a_file_is_read_in_parts_then_the_rows_are_those_of_the_whole(
    csv_data, tmp_path, monkeypatch, ingest
):
    data = csv_data()
    whole = read(ingest(tmp_path / "whole", data))
    monkeypatch.setattr(csv_reader.CsvReader.__init__, "__defaults__", (",", "utf-8", 50))
    examples = ingest(tmp_path / "parts", data)
    assert len(list((tmp_path / "parts" / "Split-train").iterdir())) > 3
    for split, found in read(examples).items():
        assert sorted(map(canonical, found)) == sorted(map(canonical, whole[split]))
