"""The model card: valid JSON whatever was measured, and Markdown that shows values as they are."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import shutil
from datetime import datetime, timezone
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip
from tensorflow.core.protobuf import saved_model_pb2  # isort: skip
from tensorflow_metadata.proto.v0 import statistics_pb2  # isort: skip
from tfx.types import standard_artifacts  # isort: skip

from components.evaluator.config import EvaluateConfig  # isort: skip
from components.evaluator.results import Measurement  # isort: skip
from components.pusher import model_card  # isort: skip
from components.pusher.card_markdown import card_markdown  # isort: skip
from components.pusher.model_card import CardSettings, make_card, write_card  # isort: skip
from trainer_module.config import TaskConfig  # isort: skip

DATA = {"dataset": "digits", "label": "digit", "limit": None}
ROWS = {"train": 70, "eval": 16, "test": 14}
SCHEMA = b'feature { name: "image" }\n'
SETTINGS = CardSettings(
    task=TaskConfig(name="digits", options={"filters": 8}),
    evaluate=EvaluateConfig.model_validate(
        {
            "metrics": [
                {"name": "accuracy", "head": "class", "at_least": 0.9, "slice_at_least": 0.8},
                {"name": "r2", "head": "attribute"},
            ],
            "slices": ["digit"],
        }
    ),
    code="c0de",
    libraries={"tensorflow": "2.16.2", "tfx": "1.16.0"},
)
CANDIDATE = Measurement(
    {"class/accuracy": 0.95, "attribute/r2": math.nan},
    {
        "digit:3": {"class/accuracy": 0.75, "attribute/r2": -math.inf},
        "digit:4": {"class/accuracy": 1.0},
    },
)
BASELINE = Measurement({"class/accuracy": 0.9, "attribute/r2": 0.5}, {})


@pytest.fixture(scope="module")
def saved_model(tmp_path_factory):
    """Any number of texts, and a matrix, to their lengths."""
    folder = tmp_path_factory.mktemp("card") / "model"

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.string, name="text"),
            tf.TensorSpec(None, tf.float32, name="anything"),
        ]
    )
    def lengths(text, anything):
        return {"length": tf.strings.length(text), "same": anything}

    tf.saved_model.save(tf.Module(), str(folder), {"lengths": lengths})
    return folder


@pytest.fixture
def artifacts(artifact):
    schema = artifact(standard_artifacts.Schema, 1)
    Path(schema.uri, "schema.pbtxt").write_bytes(SCHEMA)
    statistics = artifact(standard_artifacts.ExampleStatistics, 2)
    for split, rows in ROWS.items():
        listed = statistics_pb2.DatasetFeatureStatisticsList()
        listed.datasets.add(num_examples=rows)
        folder = Path(statistics.uri, f"Split-{split}")
        folder.mkdir()
        (folder / "FeatureStats.pb").write_bytes(listed.SerializeToString())
    return {
        "model": artifact(standard_artifacts.Model, 7),
        "evaluation": artifact(standard_artifacts.ModelEvaluation, 8),
        "schema": schema,
        "statistics": statistics,
    }


@pytest.fixture
def card(saved_model, artifacts, monkeypatch):
    """Makes a card of a model that did as `CANDIDATE`, after one that did as `baseline`."""

    def make(candidate=CANDIDATE, baseline=BASELINE, name="digits", data=DATA):
        def load(uri, task):
            assert uri == artifacts["evaluation"].uri
            assert [head.name for head in task.heads] == ["class", "attribute"]
            return candidate, baseline

        monkeypatch.setattr(model_card, "load_measurements", load)
        return make_card(name, "d1e5", saved_model, data, SETTINGS, artifacts, "run-1", 9)

    return make


def test_card_when_made_then_tells_the_origin_of_the_model(card, artifacts):
    found = card()
    assert (found["name"], found["digest"], found["code"]) == ("digits", "d1e5", "c0de")
    assert found["libraries"] == SETTINGS.libraries
    assert "| Libraries | tensorflow 2.16.2, tfx 1.16.0 |" in card_markdown(found)
    assert found["task"] == {"name": "digits", "options": {"filters": 8}}
    assert (found["data"], found["rows"]) == (DATA, ROWS)
    assert found["schema_sha256"] == hashlib.sha256(SCHEMA).hexdigest()
    lineage = found["lineage"]
    assert (lineage["run_id"], lineage["execution_id"]) == ("run-1", 9)
    assert lineage["artifacts"].keys() == artifacts.keys()
    assert lineage["artifacts"]["evaluation"] == {
        "id": 8,
        "type": "ModelEvaluation",
        "uri": artifacts["evaluation"].uri,
    }
    age = datetime.now(timezone.utc) - datetime.fromisoformat(found["created"])
    assert 0 <= age.total_seconds() < 3600


def test_card_when_made_then_tells_the_figures_and_the_verdict_on_each_threshold(card):
    found = card()
    assert found["metrics"] == {"class/accuracy": 0.95, "attribute/r2": None}
    assert found["slices"]["digit:3"] == {"class/accuracy": 0.75, "attribute/r2": None}
    assert found["baseline"] == {"class/accuracy": 0.9, "attribute/r2": 0.5}
    assert found["thresholds"] == [
        {"check": "class/accuracy 0.9500 >= 0.9", "passed": True},
        {
            "check": "class/accuracy of the worst slice, digit:3, 0.7500 is not >= 0.8",
            "passed": False,
        },
    ]
    assert card(baseline=None)["baseline"] is None


def test_card_when_made_then_tells_what_each_signature_takes_and_gives(card):
    assert card()["signatures"] == {
        "lengths": {
            "method": "tensorflow/serving/predict",
            "inputs": {
                "anything": {"dtype": "float32", "shape": None},
                "text": {"dtype": "string", "shape": [None]},
            },
            "outputs": {
                "length": {"dtype": "int32", "shape": [None]},
                "same": {"dtype": "float32", "shape": None},
            },
        }
    }


def test_card_when_nothing_was_evaluated_then_tells_the_rest(saved_model, artifact):
    model = artifact(standard_artifacts.Model, 7)
    found = make_card("hand", "d1", saved_model, {}, None, {"model": model}, None, None)
    assert (found["metrics"], found["slices"], found["rows"]) == ({}, {}, {})
    assert (found["baseline"], found["schema_sha256"], found["task"]) == (None, None, None)
    assert found["signatures"].keys() == {"lengths"}
    assert "| Task | none |" in card_markdown(found)


def test_card_when_written_then_is_json_of_any_reader_and_markdown_beside_it(card, tmp_path):
    found = card()
    write_card(tmp_path, found)

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    text = (tmp_path / "assets.extra" / "model_card.json").read_text(encoding="utf-8")
    assert json.loads(text, parse_constant=refuse) == found
    markdown = (tmp_path / "assets.extra" / "model_card.md").read_text(encoding="utf-8")
    assert markdown == card_markdown(found)


def rendered(card):
    """Returns the headings of the card's Markdown, and the cells of its tables by heading.

    Both as a reader sees them; a table's own head is left out.
    """
    tokens = MarkdownIt("commonmark").enable("table").parse(card_markdown(card))
    headings, tables = [], {}
    for before, token in itertools.pairwise(tokens):
        if token.type == "inline":
            text = "".join(_shown(child) for child in token.children)
            if before.type == "heading_open":
                headings.append(text)
            elif before.type == "td_open":
                tables.setdefault(headings[-1], []).append(text)
    return headings, tables


def _shown(child):
    assert child.type in ("text", "text_special", "strong_open", "strong_close"), child
    return child.content


def cells(card, heading):
    return rendered(card)[1][heading]


def test_markdown_when_rendered_then_shows_figures_beside_those_of_the_last_model(card):
    assert cells(card(), "Metrics on the test split") == [
        *("class/accuracy", "0.9500", "0.9000"),
        *("attribute/r2", "none", "0.5000"),
    ]
    assert cells(card(baseline=None), "Metrics on the test split") == [
        *("class/accuracy", "0.9500"),
        *("attribute/r2", "none"),
    ]
    assert cells(card(), "Metrics by slice") == [
        *("digit:3", "none", "0.7500"),
        *("digit:4", "none", "1.0000"),
    ]
    assert "- passed: class/accuracy 0.9500 >= 0.9" in card_markdown(card())
    assert "- **failed**: class/accuracy of the worst slice" in card_markdown(card())


@pytest.mark.parametrize(
    "value",
    [
        "a|b",
        "<script>alert(1)</script>",
        "**bold** _soft_ __init__ `code`",
        "[text](http://example.com) ![picture](x.png)",
        "a \\ b \\| c",
        "&amp; &#35; # head",
        "~~gone~~ *",
        "mean_radius_of_x",
    ],
)
def test_markdown_when_values_look_like_markup_then_shows_them_as_they_are(card, value):
    measured = Measurement(CANDIDATE.overall, {f"kind:{value}": {"class/accuracy": 1.0}})
    found = card(candidate=measured, name=value, data={value: value})
    assert cells(found, "Data") == [value, value]
    assert cells(found, "Metrics by slice") == [f"kind:{value}", "1.0000"]
    assert rendered(found)[0][0] == value


def test_markdown_when_a_value_has_several_lines_then_stays_in_its_row(card):
    found = card(data={"note": "first\n\n| second |\r\nthird"})
    assert cells(found, "Data") == ["note", "first | second | third"]


def test_markdown_when_a_name_is_made_of_letters_then_is_readable_unrendered(card):
    text = card_markdown(card(data={"mean_radius": "a/b.csv"}))
    assert "| mean_radius | a/b.csv |" in text


def test_markdown_when_inputs_are_of_one_type_then_says_it_once(card):
    found = card()
    vector, matrix = {"dtype": "float32", "shape": [None]}, {"dtype": "int64", "shape": [None, 2]}
    found["signatures"]["lengths"]["inputs"] = {"a": vector, "b": vector, "c": matrix}
    assert cells(found, "Signatures") == [
        "lengths",
        "tensorflow/serving/predict",
        "a, b: float32 (any); c: int64 (any, 2)",
        "length: int32 (any); same: float32 of any shape",
    ]


def test_markdown_when_a_value_is_nested_then_shows_it_as_json(card):
    found = card(data={"splits": {"train": 70, "limit": None}, "classes": ["a", "b"]})
    assert cells(found, "Data") == [
        *("splits", '{"train": 70, "limit": null}'),
        *("classes", '["a", "b"]'),
    ]


def test_card_when_rows_may_lack_an_input_then_says_so(saved_model, artifact, tmp_path):
    path = tmp_path / "model" / "saved_model.pb"
    shutil.copytree(saved_model, path.parent)
    model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    text = model.meta_graphs[0].signature_def["lengths"].inputs["text"]
    text.tensor_shape.dim[0].name = "nullable"
    path.write_bytes(model.SerializeToString())
    artifacts = {"model": artifact(standard_artifacts.Model, 7)}
    found = make_card("hand", "d1", path.parent, {}, None, artifacts, None, None)
    assert found["signatures"]["lengths"]["inputs"] == {
        "anything": {"dtype": "float32", "shape": None},
        "text": {"dtype": "string", "shape": [None], "nullable": True},
    }
    shown = "anything: float32 of any shape; text: string (any), or nothing"
    assert shown in cells(found, "Signatures")
