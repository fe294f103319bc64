"""Rows as people have them, and the answers of a model to them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.config_file import ConfigError
from pipeline.predict import BATCH, predict, read_rows, sample_rows


def problem(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read_rows(text, "rows.txt")
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        pytest.param('{"a": 1}', [{"a": 1}], id="object"),
        pytest.param('\n {\n  "a": [1,\n 2]\n}\n', [{"a": [1, 2]}], id="object over lines"),
        pytest.param('[{"a": 1}, {"a": 2}]', [{"a": 1}, {"a": 2}], id="list"),
        pytest.param('{"a": 1}\n{"a": 2}\n', [{"a": 1}, {"a": 2}], id="lines"),
        pytest.param('{"a": 1}\n\n  \n{"a": 2}', [{"a": 1}, {"a": 2}], id="lines, some empty"),
        pytest.param("a,b\n1,2.5\n3,x\n", [{"a": 1, "b": 2.5}, {"a": 3, "b": "x"}], id="CSV"),
        pytest.param('a,b\n"[1, 2]",true\n', [{"a": [1, 2], "b": True}], id="CSV of vectors"),
        pytest.param("a\r\n1\r\n2\r\n", [{"a": 1}, {"a": 2}], id="CSV from Windows"),
        pytest.param('a,b\n"x, y",\n', [{"a": "x, y", "b": ""}], id="CSV of texts"),
    ],
)
def test_rows_when_in_a_known_form_then_read(text, rows) -> None:
    assert read_rows(text, "rows.txt") == rows


@pytest.mark.parametrize(
    ("text", "error"),
    [
        pytest.param("", "rows: found none; allowed: JSON objects, or CSV", id="empty"),
        pytest.param(" \n\t\n", "rows: found none; allowed: JSON objects, or CSV", id="blank"),
        pytest.param("a,b\n", "rows: found a header alone; allowed: one row or more", id="header"),
        pytest.param("[]", "rows: found none; allowed: one object or more", id="empty list"),
        pytest.param(
            '{"a": 1}\n{"a": 2\n{"a": 3}', 'line 2: found {"a": 2; allowed: JSON (', id="broken"
        ),
        pytest.param(
            '[{"a": 1}, 7]', "row 2: found 7; allowed: an object of features", id="no object"
        ),
        pytest.param(
            '{"a": 1}\n[1, 2]', "row 2: found [1, 2]; allowed: an object", id="line is no object"
        ),
    ],
)
def test_rows_when_they_cannot_be_read_then_says_where_and_why(text, error) -> None:
    assert problem(text).startswith(f"rows.txt: {error}")


def test_rows_when_blank_lines_come_first_then_the_line_number_counts_them() -> None:
    assert problem('\n\n{"a": 1}\n{"a": 2').startswith('rows.txt: line 4: found {"a": 2;')


def test_rows_when_a_csv_row_has_more_cells_than_the_header_then_refused() -> None:
    assert problem("image,b\n[1, 2],3\n").startswith("rows.txt: row 1: found ")


def test_rows_when_a_csv_row_has_fewer_cells_than_the_header_then_refused() -> None:
    assert problem("a,b\n1\n").startswith("rows.txt: row 1: found ")


@pytest.fixture
def version_of(tmp_path):
    def make(manifest: dict[str, Any]) -> Path:
        path = tmp_path / "1" / "assets.extra" / "tapeline.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(manifest))
        return tmp_path / "1"

    return make


def test_sample_when_the_version_names_its_data_then_gives_rows_without_label(version_of) -> None:
    rows = sample_rows(version_of({"data": {"dataset": "digits", "label": "digit"}}), 3)

    assert [set(row) for row in rows] == [{"image"}] * 3
    assert [len(row["image"]) for row in rows] == [64] * 3
    json.dumps(rows)


def test_sample_when_the_version_names_pictures_then_gives_them_as_bytes(
    version_of, tmp_path
) -> None:
    import tensorflow as tf

    encoded = tf.io.encode_png(np.zeros((2, 2, 3), np.uint8)).numpy()
    for path in ("cat/1.png", "dog/1.png"):
        (tmp_path / "data" / "train" / path).parent.mkdir(parents=True)
        (tmp_path / "data" / "train" / path).write_bytes(encoded)
    data = {"source": "image_folder", "path": str(tmp_path / "data"), "label": "label"}

    assert sample_rows(version_of({"data": data}), 1) == [{"image": encoded}]


@pytest.mark.parametrize("data", [{}, {"dataset": "cats", "label": "cat"}, {"source": "csv"}])
def test_sample_when_the_version_does_not_say_what_it_was_trained_on_then_refuses(
    data, version_of
) -> None:
    folder = version_of({"data": data} if data else {})
    with pytest.raises(ConfigError) as caught:
        sample_rows(folder, 3)
    assert str(caught.value) == (
        f"{folder}: --sample: found data {data}; "
        "allowed: a version that says what it was trained on; or ROWS instead"
    )


def test_sample_when_the_data_are_not_there_then_says_what_to_do(version_of) -> None:
    folder = version_of({"data": {"source": "image_folder", "path": "/nowhere"}})
    with pytest.raises(ConfigError) as caught:
        sample_rows(folder, 3)
    found = str(caught.value)
    assert found.startswith(f"{folder}: --sample: found /nowhere: no such file or folder; allowed:")
    assert found.endswith("; or ROWS instead, where the data are not at hand")


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ('{"image": {"b64": "/9j/"}}', {"image": b"\xff\xd8\xff"}),
        ('{"images": [{"b64": ""}, {"b64": "AA=="}]}', {"images": [b"", b"\0"]}),
        ('image,b\n"{""b64"": ""AA==""}",1\n', {"image": b"\0", "b": 1}),
    ],
)
def test_rows_when_a_value_is_base64_as_tf_serving_takes_it_then_is_bytes(text, row) -> None:
    assert read_rows(text, "rows.json") == [row]


@pytest.mark.parametrize(
    "value", ['{"b64": "a"}', '{"b64": "é"}', '{"b64": 5}', '{"b32": "AA"}', "{}"]
)
def test_rows_when_base64_is_broken_then_names_row_and_feature(value) -> None:
    found = problem(f'{{"image": 1}}\n{{"image": {value}}}')
    assert found.startswith("rows.txt: row 2: image: found ")
    assert found.endswith('; allowed: {"b64": "<base64>"}')


def test_predict_when_the_version_does_not_load_then_names_it(tmp_path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"broken")
    with pytest.raises(ConfigError, match=f"^{tmp_path}: "):
        list(predict(tmp_path, "serving_raw", [{"x": [1, 2]}]))


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A SavedModel of `x` [b, 2] and a text `word` [b] to their sum, their product and the text."""
    import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

    import tensorflow as tf  # isort: skip

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, 2], tf.float32, "x"),
            tf.TensorSpec([None], tf.string, "word"),
        ]
    )
    def serve(x: tf.Tensor, word: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"sum": tf.reduce_sum(x, axis=1), "twice": 2 * x, "echo": word}

    module = tf.Module()
    module.serve = serve
    folder = tmp_path_factory.mktemp("model") / "1"
    tf.saved_model.save(module, str(folder), signatures={"serving_raw": serve})
    return folder


def test_predict_when_rows_fit_then_answers_each_with_a_line_of_json(model) -> None:
    rows = [{"x": [1, 2], "word": "ja", "more": 7}, {"x": [3.5, 0], "word": "nö"}]

    answers = [json.loads(line) for line in predict(model, "serving_raw", rows)]

    assert answers == [
        {"sum": 3.0, "twice": [2.0, 4.0], "echo": "ja"},
        {"sum": 3.5, "twice": [7.0, 0.0], "echo": "nö"},
    ]


def test_predict_when_rows_are_more_than_a_batch_then_answers_all_in_order(model) -> None:
    rows = [{"x": [number, 0], "word": ""} for number in range(2 * BATCH + 1)]

    answers = [json.loads(line)["sum"] for line in predict(model, "serving_raw", rows)]

    assert answers == list(range(2 * BATCH + 1))


def test_predict_when_a_feature_is_missing_then_names_the_row_and_the_feature(model) -> None:
    rows = [{"x": [1, 2], "word": "a"}, {"word": "b"}]
    with pytest.raises(ConfigError) as caught:
        list(predict(model, "serving_raw", rows))

    start, _, allowed = str(caught.value).partition("; allowed: ")
    assert start == f"{model}: serving_raw: found row 2: no x"
    assert set(allowed.split(", ")) == {"x", "word"}


def test_predict_when_a_row_in_a_later_batch_is_bad_then_numbers_it_in_the_file(model) -> None:
    rows = [{"x": [1, 2], "word": "a"}] * BATCH + [{"x": [1, 2]}]
    with pytest.raises(ConfigError, match=f"found row {BATCH + 1}: no word; allowed: "):
        list(predict(model, "serving_raw", rows))


def test_predict_when_the_signature_is_unknown_then_names_those_there_are(model) -> None:
    with pytest.raises(ConfigError, match="found 'embedding'; allowed: serving_raw"):
        list(predict(model, "embedding", [{"x": [1, 2], "word": "a"}]))


def test_predict_when_a_vector_is_too_long_then_refuses(model) -> None:
    with pytest.raises(ConfigError, match=f"{model}: serving_raw: found .*; allowed: "):
        list(predict(model, "serving_raw", [{"x": [1, 2, 3], "word": "a"}]))
