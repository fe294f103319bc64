"""BigQuery: what its answers say before a run, and its rows by TFX's component and then ours."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import pytest
import requests
from pydantic import TypeAdapter, ValidationError

from components.example_gen.config import BigQueryConfig, DataConfig
from components.example_gen.source import DataError
from components.example_gen.sources import make_source

SECTION = {
    "source": "bigquery",
    "query": "SELECT fare, tip, payment FROM rides.all;\n",
    "project": "lab",
    "temp_location": "gs://lab/export",
    "label": "generous",
    "label_expression": "tip > 0.2 * fare",
}
TYPES = {"fare": "FLOAT", "tip": "FLOAT", "payment": "STRING"}


def config(**keys) -> BigQueryConfig:
    return TypeAdapter(DataConfig).validate_python(SECTION | keys)


class Answers:
    """What BigQuery's REST interface answers, in place of the connection.

    Attributes:
        types: of the columns of every query.
        rows: of every query that is run.
        changed: when the one table was changed, in milliseconds.
        error: code and message of every answer; None for none.
        asked: the queries.
    """

    is_mtls = False

    def __init__(self) -> None:
        self.types, self.rows, self.changed = dict(TYPES), [], 1000
        self.error, self.asked = None, []

    def request(self, method, url, data=None, headers=None, **_):
        response = requests.Response()
        response.status_code, response.url = 200, url
        response.request = requests.Request(method, url).prepare()
        if self.error is not None:
            response.status_code, message = self.error
            answer = {"error": {"message": message, "errors": [{"message": message}]}}
        elif "/tables/" in url:
            table = {"projectId": "lab", "datasetId": "rides", "tableId": "all"}
            answer = {
                "tableReference": table, "id": "lab:rides.all",
                "lastModifiedTime": str(self.changed),
            }  # fmt: skip
        elif method == "POST":
            query = json.loads(data)["configuration"]
            self.asked.append(query["query"]["query"])
            answer = self._job(query)
        else:
            answer = {
                **{"jobComplete": True, "schema": self._schema(), "totalRows": len(self.rows)},
                "jobReference": {"projectId": "lab", "jobId": "1"},
                "rows": [{"f": [{"v": value} for value in row]} for row in self.rows],
            }
        response._content = json.dumps(answer).encode()
        return response

    def _job(self, query):
        table = {"projectId": "lab", "datasetId": "rides", "tableId": "all"}
        statistics = {
            "schema": self._schema(), "referencedTables": [table], "totalBytesProcessed": "4096",
        }  # fmt: skip
        return {
            "jobReference": {"projectId": "lab", "jobId": "1"},
            "configuration": query,
            "status": {"state": "DONE"},
            "statistics": {"query": statistics},
        }

    def _schema(self):
        return {"fields": [{"name": name, "type": kind} for name, kind in self.types.items()]}


@pytest.fixture
def answers(monkeypatch):
    """BigQuery's own client on answers of ours."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import bigquery

    from components.example_gen import big_query

    found = Answers()
    client = functools.partial(bigquery.Client, credentials=AnonymousCredentials(), _http=found)
    monkeypatch.setattr(bigquery, "Client", client)
    big_query.plan.cache_clear()
    yield found
    big_query.plan.cache_clear()


@pytest.mark.parametrize(
    ("keys", "key"),
    [
        ({"path": "rides.csv"}, "path"),
        ({"query": None}, "query"),
        ({"query": " ;\n"}, "query"),
        ({"project": ""}, "project"),
        ({"temp_location": "/tmp/export"}, "temp_location"),
        ({"splits": {"by": "folder"}}, ""),
        *(({key: ...}, key) for key in ("query", "project", "temp_location", "label")),
    ],
)
def test_config_when_a_key_is_missing_or_not_allowed_then_is_refused(keys, key):
    section = {name: value for name, value in (SECTION | keys).items() if value is not ...}
    with pytest.raises(ValidationError) as error:
        TypeAdapter(DataConfig).validate_python(section)
    (found,) = error.value.errors()
    assert found["loc"] == ("bigquery", *([key] if key else []))


def test_config_when_written_out_then_is_read_back():
    assert config().query == "SELECT fare, tip, payment FROM rides.all\n"
    assert TypeAdapter(DataConfig).validate_python(config().model_dump(mode="json")) == config()


def test_source_when_bigquery_takes_the_query_then_has_its_columns_and_size(answers):
    source = make_source(config())
    source.check()
    assert list(source.columns) == ["fare", "tip", "payment", "generous"]
    assert source.size() == 4096
    assert answers.asked == ["SELECT * FROM (SELECT fare, tip, payment FROM rides.all\n) LIMIT 0"]


def test_fingerprint_when_a_table_has_changed_then_is_another(answers):
    from components.example_gen import big_query

    source = make_source(config())
    first = source.fingerprint()
    big_query.plan.cache_clear()
    assert source.fingerprint() == first
    big_query.plan.cache_clear()
    answers.changed += 1
    assert source.fingerprint() != first


@pytest.mark.parametrize(
    ("keys", "types", "message"),
    [
        ({"label": "fare"}, {}, "a column 'fare', which data.label_expression makes too"),
        ({"label_expression": None}, {}, "no column 'generous'; allowed: the columns: fare, tip"),
        ({"splits": {"by": "group", "column": "car"}}, {}, "no column 'car'"),
        ({}, {"at": "TIMESTAMP"}, r"column 'at' of TIMESTAMP; allowed: .* CAST\(at AS STRING\)"),
    ],
)
def test_source_when_columns_do_not_fit_then_says_which(answers, keys, types, message):
    answers.types |= types
    with pytest.raises(DataError, match=message):
        make_source(config(**keys)).check()


def test_source_when_bigquery_refuses_the_query_then_says_what_it_says(answers):
    answers.error = (400, "Syntax error: Unexpected identifier at [1:8]")
    with pytest.raises(DataError, match=r"^BigQuery: Syntax error: .* \[1:8\]; allowed: a query"):
        make_source(config()).check()


def test_source_when_there_are_no_credentials_then_says_how_to_get_them(monkeypatch):
    import google.auth
    from google.auth.exceptions import DefaultCredentialsError

    from components.example_gen import big_query

    def none(*_, **__):
        raise DefaultCredentialsError("none")

    big_query.plan.cache_clear()
    monkeypatch.setattr(google.auth, "default", none)
    with pytest.raises(DataError, match="no credentials; allowed: `gcloud auth application-def"):
        make_source(config()).check()


def test_source_when_the_library_is_missing_then_says_what_to_install(monkeypatch):
    import sys

    from components.example_gen import big_query

    big_query.plan.cache_clear()
    monkeypatch.setitem(sys.modules, "google.cloud.bigquery", None)
    monkeypatch.delattr("google.cloud.bigquery", raising=False)
    with pytest.raises(DataError, match=r"no module google\.cloud\.bigquery; allowed: what"):
        make_source(config()).check()


def test_sample_when_asked_then_is_rows_without_what_they_lack(answers):
    answers.types["shared"] = "BOOLEAN"
    answers.rows = [["5.5", "1", "card", "true"], ["7", None, "cash", "false"]]
    assert make_source(config()).sample(2) == [
        {"fare": 5.5, "tip": 1.0, "payment": "card", "shared": 1},
        {"fare": 7.0, "payment": "cash", "shared": 0},
    ]


@pytest.fixture
def written(answers, monkeypatch, tmp_path):
    """Runs TFX's executor on rows in place of Beam's reading of BigQuery; returns its Examples."""
    import apache_beam as beam
    from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
    from tfx.extensions.google_cloud_big_query import utils
    from tfx.types import standard_artifacts

    from components.example_gen.component import big_query_rows

    def run(rows):
        @beam.ptransform_fn
        def read(pipeline, query, big_query_custom_config=None):
            assert query == config().query
            return pipeline | beam.Create(rows, reshuffle=False)

        monkeypatch.setattr(utils, "ReadFromBigQuery", read)
        component = big_query_rows(config())
        examples = standard_artifacts.Examples()
        examples.uri = str(tmp_path / "rows")
        context = BaseBeamExecutor.Context(
            beam_pipeline_args=[
                *("--runner=DirectRunner", "--direct_running_mode=in_memory"),
                *component.executor_spec.beam_pipeline_args,
            ]
        )
        executor = component.executor_spec.executor_class(context)
        executor.Do({}, {"examples": [examples]}, dict(component.exec_properties))
        return examples

    return run


def test_example_gen_when_tfx_has_read_the_rows_then_splits_labels_and_accounts_for_them(
    written, tmp_path
):
    import tensorflow as tf
    from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
    from tfx.types import channel_utils, standard_artifacts

    from components.example_gen.component import WrittenExampleGen
    from components.example_gen.intake import read_intake
    from components.example_gen.provenance import read_sources

    rows = [{"fare": 10.0, "tip": 1.0 + i % 3, "payment": f"card {i}"} for i in range(60)]
    rows[7]["payment"] = None
    rows[9]["fare"] = None  # the label needs it
    data = config(bad_rows="quarantine", max_bad_fraction=0.1)
    rows_read = written(rows)
    component = WrittenExampleGen(channel_utils.as_channel([rows_read]), data, "hash")
    examples = standard_artifacts.Examples()
    examples.uri = str(tmp_path / "examples")
    context = BaseBeamExecutor.Context(
        beam_pipeline_args=["--runner=DirectRunner", "--direct_running_mode=in_memory"]
    )
    executor = component.executor_spec.executor_class(context)
    executor.Do({"rows": [rows_read]}, {"examples": [examples]}, dict(component.exec_properties))

    intake = read_intake(examples.uri)
    assert (intake.rows, intake.bad) == (60, 1)
    assert min(intake.splits.values()) > 0
    (bad,) = Path(examples.uri, "quarantine").glob("*")
    (line,) = map(json.loads, bad.read_text().splitlines())
    assert (line["column"], line["allowed"]) == ("fare", "a value, for the label 'generous'")
    query, *read = read_sources(examples.uri)
    assert (query.kind, query.name) == ("query", data.query.strip())
    assert {source.name for source in read} == set(map(str, Path(rows_read.uri).glob("*/*.gz")))
    files = sorted(map(str, Path(examples.uri).glob("Split-*/*")))
    found = [
        tf.train.Example.FromString(record).features.feature
        for record in tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator()
    ]
    assert len(found) == 59
    for features in found:
        tip = features["tip"].float_list.value[0]
        assert list(features["generous"].int64_list.value) == [int(tip > 2)]


def test_graph_when_the_source_is_bigquery_then_tfx_reads_and_our_example_gen_goes_on(
    answers, repository, tmp_path, monkeypatch
):
    from components.example_gen import big_query
    from pipeline.compiler import compile_pipeline
    from pipeline.config_file import load_config
    from pipeline.graph import build_pipeline
    from trainer_module.tasks import make_task

    monkeypatch.chdir(tmp_path)
    path = str(repository / "configs" / "digits.yaml")
    run = load_config(path, [f"data={json.dumps(SECTION)}"])
    task = make_task(run.task)

    def nodes():
        big_query.plan.cache_clear()
        return {node.id: node for node in build_pipeline(run, task).components}

    before = nodes()
    reader, example_gen = before["BigQueryExampleGen"], before["ExampleGen"]
    assert list(before)[:2] == ["BigQueryExampleGen", "ExampleGen"]
    assert example_gen.upstream_nodes == {reader}
    assert reader.executor_spec.beam_pipeline_args[-2:] == [
        "--project=lab", "--temp_location=gs://lab/export",
    ]  # fmt: skip
    answers.changed += 1
    after = nodes()
    assert dict(after["BigQueryExampleGen"].exec_properties) == dict(reader.exec_properties)
    assert dict(after["ExampleGen"].exec_properties) == dict(example_gen.exec_properties)
    found = {node.pipeline_node.node_info.id for node in compile_pipeline(run, task).nodes}
    assert {"BigQueryExampleGen", "ExampleGen", "AnomalyGate"} <= found


def test_driver_when_the_tables_change_then_the_query_is_another_to_the_cache(answers):
    from components.example_gen import big_query
    from components.example_gen.component import big_query_rows
    from components.example_gen.driver import TablesDriver

    node = big_query_rows(config())
    assert node.driver_class is TablesDriver

    def resolved():
        big_query.plan.cache_clear()
        return TablesDriver(None).resolve_exec_properties(dict(node.exec_properties), None, None)

    before = resolved()
    assert json.loads(before["input_config"])["splits"][0]["pattern"] == config().query
    assert resolved() == before
    answers.changed += 1
    assert resolved()["input_config"] != before["input_config"]
