"""Inputs that rows may lack: read from what a server says, and filled in where they are missing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from serving.client.errors import ServingClientError
from serving.client.examples import features_of, to_examples
from serving.client.frames import arrays_of
from serving.client.metadata import Signature, TensorSpec, signatures_of_json

SIGNATURE = Signature(
    {
        "size": TensorSpec(np.dtype(np.float32), (None,), nullable=True),
        "rooms": TensorSpec(np.dtype(np.float64), (None,), nullable=True),
        "tags": TensorSpec(np.dtype(object), (None, None), nullable=True),
        "id": TensorSpec(np.dtype(np.int64), (None,)),
    },
    {},
    "tensorflow/serving/predict",
)


def test_nullable_inputs_when_none_or_left_out_then_say_missing() -> None:
    found = arrays_of({"id": [1, 2], "size": [1.5, None], "tags": [["a"], None]}, SIGNATURE)
    np.testing.assert_array_equal(found["size"], np.array([1.5, np.nan], np.float32))
    np.testing.assert_array_equal(found["rooms"], [np.nan, np.nan])
    assert found["tags"].tolist() == [[b"a"], [b""]]
    assert found["id"].tolist() == [1, 2]


def test_nullable_inputs_when_in_a_dataframe_then_what_pandas_calls_missing_is() -> None:
    frame = pd.DataFrame(
        {
            "id": [1, 2, 3],
            "size": [1.5, np.nan, 2.5],
            "rooms": pd.array([3, None, 4], dtype="Int64"),
            "tags": [["a", "b"], None, []],
        }
    )
    found = arrays_of(frame, SIGNATURE)
    np.testing.assert_array_equal(found["size"], np.array([1.5, np.nan, 2.5], np.float32))
    np.testing.assert_array_equal(found["rooms"], [3, np.nan, 4])
    assert found["tags"].tolist() == [[b"a", b"b"], [b"", b""], [b"", b""]]
    without = arrays_of(frame[["id", "size"]], SIGNATURE)
    np.testing.assert_array_equal(without["rooms"], [np.nan] * 3)


@pytest.mark.parametrize(
    ("inputs", "error"),
    [
        ({"size": [1.0]}, r"missing \['id'\], unknown none"),
        ({}, r"missing \['id', 'rooms', 'size', 'tags'\]"),
        ({"id": [1], "sise": [1.0]}, r"missing none, unknown \['sise'\]"),
        ({"id": [None]}, r"id: found \[None\].*; allowed: int64 of shape \[\?\]$"),
        ({"id": [1], "size": ["x"]}, r"size: .*; allowed: float32 of shape \[\?\], or nothing"),
        ({"id": [1], "rooms": [2**53]}, r"rooms: .*2\^53"),
    ],
)
def test_inputs_when_they_do_not_fit_then_the_input_is_named(inputs, error) -> None:
    with pytest.raises(ServingClientError, match=error):
        arrays_of(inputs, SIGNATURE)


def test_dataframe_when_it_lacks_values_then_the_examples_lack_the_features() -> None:
    frame = pd.DataFrame({"size": [1.5, np.nan], "town": ["Köln", None], "tags": [["a"], []]})
    first, second = (features_of(example) for example in to_examples(frame))
    assert first == {"size": [1.5], "town": ["Köln".encode()], "tags": [b"a"]}
    assert second == {}


def test_metadata_when_a_dimension_is_called_nullable_then_the_input_is() -> None:
    def info(name: str) -> dict:
        return {"dtype": "DT_FLOAT", "tensor_shape": {"dim": [{"size": "-1", "name": name}]}}

    inputs = {"a": info("nullable"), "b": info(""), "c": {"dtype": "DT_FLOAT", "tensor_shape": {}}}
    signature = signatures_of_json({"raw": {"inputs": inputs}})["raw"]
    assert {name: spec.nullable for name, spec in signature.inputs.items()} == {
        "a": True,
        "b": False,
        "c": False,
    }
