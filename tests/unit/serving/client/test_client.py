"""Both clients answer alike, in arrays and DataFrames, whatever the protocol loses on the way."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from grpc import StatusCode

from serving.client import ServingClientError, TensorSpec, VersionStatus

INPUTS = {
    "x": np.array([[1, 2], [np.nan, np.inf], [0.1, -np.inf]], np.float32),
    "n": np.array([2**63 - 1, -(2**63), 2**53 + 1]),
    "word": np.array(["nö".encode(), b"", b"a b"], object),
}


def words_of_bytes() -> dict[str, np.ndarray]:
    return {**INPUTS, "word": np.array([b"ok", b"a\0", b""], object)}


def test_predict_when_given_arrays_then_answers_arrays_of_the_signatures_types(client) -> None:
    answers = client.predict(INPUTS)

    assert {name: (array.dtype, array.shape) for name, array in answers.items()} == {
        "sum": (np.float32, (3,)),
        "twice": (np.float32, (3, 2)),
        "n": (np.int64, (3,)),
        "is_even": (np.bool_, (3,)),
        "word": (object, (3,)),
        "word_bytes": (object, (3,)),
    }
    np.testing.assert_array_equal(answers["sum"], INPUTS["x"].sum(1))
    np.testing.assert_array_equal(answers["twice"], INPUTS["x"] * 2)
    assert answers["n"].tolist() == INPUTS["n"].tolist()
    assert answers["is_even"].tolist() == [False, True, False]
    assert answers["word"].tolist() == ["nö".encode(), b"", b"a b"]


def test_predict_when_bytes_end_in_zeros_then_none_is_lost(client) -> None:
    answers = client.predict(words_of_bytes())
    assert answers["word_bytes"].tolist() == [b"ok", b"a\0", b""]


def test_predict_when_given_lists_then_they_are_made_the_signatures_types(client) -> None:
    answers = client.predict({"x": [[1, 2]], "n": [3], "word": ["ö"]})
    assert (answers["sum"].tolist(), answers["word"].tolist()) == ([3.0], ["ö".encode()])


@pytest.mark.parametrize("protocol", ["grpc"], indirect=True)  # JSON's [] has no shape
def test_predict_when_the_batch_is_empty_then_so_are_the_answers(client) -> None:
    inputs = {"x": np.zeros([0, 2]), "n": np.zeros(0, int), "word": np.array([], object)}
    answers = client.predict(inputs)
    assert (answers["twice"].shape, answers["word"].shape) == ((0, 2), (0,))


def test_predict_when_the_signature_has_one_output_then_it_keeps_its_name(client) -> None:
    answers = client.predict({"x": [[1, 2], [3, 4]]}, signature="one")
    assert {name: array.tolist() for name, array in answers.items()} == {"only": [3.0, 7.0]}


def test_predict_when_given_a_dataframe_then_answers_one_with_its_index(client) -> None:
    frame = pd.DataFrame(
        {"x": [[1, 2], np.array([3.5, 4])], "n": [1, 2], "word": ["ö", b"b"], "id": [7, 8]},
        index=["first", "second"],
    )

    answers = client.predict(frame)

    assert isinstance(answers, pd.DataFrame)
    assert answers.index.tolist() == ["first", "second"]
    assert answers["sum"].dtype == np.float32
    assert answers.to_dict("list") == {
        "sum": [3.0, 7.5],
        "twice": [[2.0, 4.0], [7.0, 8.0]],
        "n": [1, 2],
        "is_even": [False, True],
        "word": ["ö", "b"],
        "word_bytes": ["ö".encode(), b"b"],
    }


@pytest.mark.parametrize(
    ("change", "error"),
    [
        pytest.param({"x": None}, "x: found None", id="none"),
        pytest.param(
            {"n": [1.5]}, r"n: found \[1.5\] .*; allowed: int64 of shape \[\?\]", id="1.5"
        ),
        pytest.param({"x": [["a", "b"]]}, "x: found .*; allowed: float32 of shape", id="text"),
        pytest.param({"x": [[1, 2], [1]]}, "x: found ", id="ragged"),
        pytest.param({"word": [1]}, "word: found .*allowed: string of shape", id="number as text"),
        pytest.param({"y": [1]}, r"unknown \['y'\]; allowed: exactly \['n', 'word', 'x'\]", id="y"),
    ],
)
def test_predict_when_an_input_does_not_fit_then_invalid_before_it_is_sent(
    client, model, change, error
) -> None:
    with pytest.raises(ServingClientError, match=error) as caught:
        client.predict({"x": [[1, 2]], "n": [1], "word": ["a"], **change})
    assert caught.value.code is StatusCode.INVALID_ARGUMENT
    assert "predict" not in [asked[0] for asked in model.asked]


def test_predict_when_an_input_is_missing_then_named(client) -> None:
    with pytest.raises(ServingClientError, match=r"missing \['n', 'word'\], unknown none"):
        client.predict({"x": [[1, 2]]})
    with pytest.raises(ServingClientError, match=r"missing \['n', 'word'\], unknown none"):
        client.predict(pd.DataFrame({"x": [[1, 2]]}))


def test_predict_when_the_signature_is_unknown_then_names_those_there_are(client) -> None:
    with pytest.raises(ServingClientError, match="found 'no'; allowed: one, serving_default"):
        client.predict(INPUTS, signature="no")


def test_predict_when_asked_again_then_the_signatures_are_not_fetched_again(client, model) -> None:
    for _ in range(3):
        client.predict({"x": [[1, 2]]}, signature="one")
    assert [asked[0] for asked in model.asked] == ["metadata"] + ["predict"] * 3
    assert len(model.connections) == 1


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [({}, (None, None)), ({"version": 3}, (3, None)), ({"label": "canary"}, (None, "canary"))],
    ids=["newest", "version", "label"],
)
def test_request_when_it_names_a_version_then_the_server_hears_it(
    client, model, chosen, expected
) -> None:
    client.predict({"x": [[1, 2]]}, signature="one", **chosen)
    client.classify([{"x": 1.0}], signature="c", **chosen)
    client.regress([{"x": 1.0}], signature="r", **chosen)
    client.status(**chosen)
    assert model.asked == [
        (method, "model", *expected, signature)
        for method, signature in [
            ("metadata", None), ("predict", "one"), ("classify", "c"), ("regress", "r"),
            ("status", None),
        ]
    ]  # fmt: skip


def test_request_when_it_names_a_version_and_a_label_then_refused(client) -> None:
    with pytest.raises(ValueError, match="found version 1 and label 'stable'; allowed: one"):
        client.status(version=1, label="stable")


def test_request_when_the_model_is_unknown_then_not_found(make_client) -> None:
    with pytest.raises(ServingClientError) as caught:
        make_client("no").predict(INPUTS)
    assert caught.value.code is StatusCode.NOT_FOUND
    assert caught.value.message == "Servable not found for request: Latest(no)"
    assert str(caught.value) == "NOT_FOUND: Servable not found for request: Latest(no)"


def test_predict_when_a_newer_version_has_other_signatures_then_asks_by_these(
    client, model
) -> None:
    assert list(client.predict({"x": [[1, 2]]}, signature="one")) == ["only"]
    model.output = "renamed"
    with pytest.raises(ServingClientError, match="found 'two'; allowed: one, serving_default"):
        client.predict({"x": [[1, 2]]}, signature="two")
    assert list(client.predict({"x": [[1, 2]]}, signature="one")) == ["renamed"]


def test_classify_when_given_features_then_answers_classes_and_scores(client) -> None:
    answers = client.classify(
        [{"x": 1.0, "n": [1, 2], "s": "ö", "b": b"\0"}, {"x": [np.float32(2)]}]
    )

    assert answers["classes"].tolist() == [["é".encode(), b"no"]] * 2
    assert answers["scores"].tolist() == [[1.0, 0.5], [2.0, 0.5]]
    assert answers["scores"].dtype == np.float32


def test_classify_when_given_a_dataframe_then_answers_one(client) -> None:
    answers = client.classify(pd.DataFrame({"x": [1.0, 2.0], "s": ["a", None]}, index=[5, 6]))
    assert answers.to_dict("index") == {
        5: {"classes": ["é", "no"], "scores": [1.0, 0.5]},
        6: {"classes": ["é", "no"], "scores": [2.0, 0.5]},
    }


def test_regress_when_given_tf_examples_then_answers_outputs(client) -> None:
    import tensorflow as tf

    example = tf.train.Example()
    example.features.feature["x"].float_list.value.append(3)
    answers = client.regress([example, example.SerializeToString(), {"x": 4.0}])
    assert answers["outputs"].tolist() == [3.0, 3.0, 4.0]


def test_regress_when_there_is_a_context_then_examples_share_it(client) -> None:
    answers = client.regress([{"n": 1}, {"n": 2}], context={"x": 7.0})
    assert answers["outputs"].tolist() == [7.0, 7.0]


@pytest.mark.parametrize(
    ("example", "error"),
    [
        pytest.param(7, "example 2: found int; allowed: features by name", id="number"),
        pytest.param(b"\xff", "example 2: found bytes that do not parse", id="broken"),
        pytest.param({"x": [1j]}, "example 2: x: found complex128; allowed: numbers", id="complex"),
        pytest.param({"x": [["a"], 2]}, "example 2: x: ", id="ragged"),
        pytest.param({"x": [{}]}, "example 2: x: ", id="object"),
    ],
)
def test_classify_when_an_example_cannot_be_made_then_named(client, model, example, error) -> None:
    with pytest.raises(ServingClientError, match=error) as caught:
        client.classify([{"x": 1.0}, example])
    assert caught.value.code is StatusCode.INVALID_ARGUMENT
    assert not model.asked


def test_metadata_when_asked_then_gives_the_signatures(client) -> None:
    metadata = client.metadata()

    assert (metadata.model, metadata.version) == ("model", 2)
    assert list(metadata.signatures) == ["one", "serving_default"]
    assert metadata.signatures["serving_default"].inputs == {
        "n": TensorSpec(np.dtype(np.int64), (None,)),
        "word": TensorSpec(np.dtype(object), (None,)),
        "x": TensorSpec(np.dtype(np.float32), (None, 2)),
    }
    assert metadata.signatures["one"].method == "tensorflow/serving/predict"


def test_status_when_asked_then_gives_every_version_newest_first(client, model) -> None:
    model.states = [(3, 50, 5, "no file"), (2, 30, 0, "")]
    assert client.status() == [
        VersionStatus(3, "END", 5, "no file"),
        VersionStatus(2, "AVAILABLE", 0, ""),
    ]


def test_client_when_imported_then_loads_neither_tensorflow_nor_pandas() -> None:
    program = (
        "import sys, serving.client; "
        "print({'tensorflow', 'pandas', 'serving.server'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
