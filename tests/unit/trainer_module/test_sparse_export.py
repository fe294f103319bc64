"""A model of rows that may lack anything: what it serves is what it was trained on, exactly."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip
from tensorflow_metadata.proto.v0 import schema_pb2  # isort: skip
from tensorflow_transform.tf_metadata import schema_utils  # isort: skip

from serving.client.metadata import read_signatures  # isort: skip
from serving.lite.conversion import convert  # isort: skip
from serving.lite.interpreter import LiteModel  # isort: skip
from serving.prediction_logs import exchange, read_logs  # isort: skip
from serving.servable_check import compare_with_reference  # isort: skip
from serving.session import SavedModelSession  # isort: skip
from tests import flats  # isort: skip
from tests.flats import BIDS, LABEL, READ, ROOMS, ROWS, SIZE, TAGS, TOWN  # isort: skip
from trainer_module.export import ServingModel  # isort: skip
from trainer_module.raw_features import RawFeature, spec_of_schema  # isort: skip
from trainer_module.reference import write_reference_answers  # isort: skip
from trainer_module.tasks.base import COMMON_SIGNATURES  # isort: skip

NAN = np.nan
RAW = {
    SIZE: np.array([61.5, NAN, 80.25, 44, NAN, -1.5], np.float32),
    ROOMS: np.array([2, 3, NAN, 1, NAN, -4]),
    TOWN: np.array(["Köln", "Bonn", "", "Köln", "", "nowhere"], object),
    # What is missing may stand anywhere.
    TAGS: np.array(
        [
            ["old", "garden", ""],
            ["", "", ""],
            ["new", "quiet", "old"],
            ["", "new", ""],
            ["", "", ""],
            ["", "", "odd"],
        ],
        object,
    ),
    BIDS: np.array(
        [
            [7, NAN, NAN, NAN, 9],
            [NAN] * 5,
            [NAN, NAN, 3, NAN, NAN],
            [1, 2, NAN, 3, 4],
            [NAN] * 5,
            [-8, NAN, NAN, NAN, NAN],
        ]
    ),
}
"""The rows as a client gives them."""


@dataclass(frozen=True)
class Exported:
    """A model in memory, its SavedModel, and what came before."""

    serving: ServingModel
    folder: Path
    session: SavedModelSession
    features: dict[str, np.ndarray]
    """What the training gets of the rows."""

    @property
    def read(self) -> np.ndarray:
        """The features that the model reads, one beside the other."""
        columns = [self.features[name][:, np.newaxis] for name in READ]
        return np.concatenate([*columns, self.features["tags"]], axis=1)


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> Exported:
    folder = tmp_path_factory.mktemp("flats")
    transform, rows = flats.analyze(folder)
    serving = flats.make_serving(transform)
    serving.save(str(folder / "1"))
    features = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    return Exported(serving, folder / "1", SavedModelSession(folder / "1"), features)


@pytest.fixture(scope="module")
def examples() -> np.ndarray:
    return np.array([flats.example(row) for row in ROWS], object)


def test_raw_inputs_when_served_then_are_those_that_the_model_needs_by_their_own_names(exported):
    found = read_signatures(exported.folder)
    for name in ("serving_raw", "embedding"):
        inputs = {key: (str(spec.dtype), spec.shape) for key, spec in found[name].inputs.items()}
        assert inputs == {
            SIZE: ("float32", (None,)),
            ROOMS: ("float64", (None,)),
            TOWN: ("object", (None,)),
            TAGS: ("object", (None, None)),
            BIDS: ("float64", (None, None)),
        }
    assert set(found["transformed"].inputs) == {SIZE, "has size", "rooms", "town", "tags", "bids"}


def test_features_when_served_from_examples_then_are_exactly_those_of_the_training(
    exported, examples
):
    found = exported.session.run("transform_features", {"examples": examples})
    assert set(found) == set(exported.features)
    for name, expected in exported.features.items():
        np.testing.assert_array_equal(found[name], expected, err_msg=name)


def test_features_when_served_from_raw_tensors_then_are_exactly_those_of_the_training(exported):
    """The model's embedding is what it reads, one beside the other."""
    found = exported.session.run("embedding", RAW)["embedding"]
    np.testing.assert_array_equal(found, exported.read)
    for number in range(len(ROWS)):  # in a batch of its own a row may have nothing at all
        alone = {name: values[number : number + 1] for name, values in RAW.items()}
        found = exported.session.run("embedding", alone)["embedding"]
        np.testing.assert_array_equal(found, exported.read[number : number + 1])


def test_answers_when_asked_by_any_signature_then_are_the_same(exported, examples):
    session = exported.session
    expected = session.run("serving_default", {"examples": examples})
    assert set(expected["label"].tolist()) <= {b"dear", b"cheap"}
    raw = session.run("serving_raw", RAW)
    np.testing.assert_array_equal(raw["label"], expected["label"])
    features = {name: exported.features[name] for name in (*READ, "tags")}
    answers = {
        "serving_raw": raw["score"],
        "transformed": session.run("transformed", features)["score"],
        "classify": session.run("classify", {"inputs": examples})["scores"][:, 1],
        "regress": session.run("regress", {"inputs": examples})["outputs"],
    }
    for name, found in answers.items():
        np.testing.assert_allclose(found, expected["score"], atol=1e-6, err_msg=name)


def test_transform_features_when_the_label_is_missing_then_gives_what_the_task_makes_of_none(
    exported,
):
    rows = [{name: row[name] for name in row if name != LABEL} for row in ROWS]
    examples = np.array([flats.example(row) for row in rows], object)
    found = exported.session.run("transform_features", {"examples": examples})
    assert found["label"].tolist() == [-1] * len(ROWS)


def test_reference_answers_when_rows_lack_features_then_the_export_is_held_to_them(
    exported, examples, tmp_path
):
    path = tmp_path / "answers.tfrecord"
    write_reference_answers(exported.serving, examples.tolist(), str(path))
    asked = {log.signature: log.inputs for log in map(exchange, read_logs(path))}
    np.testing.assert_array_equal(asked["serving_raw"][ROOMS], RAW[ROOMS])
    assert asked["serving_raw"][TAGS].tolist()[3] == [b"new", b"", b""]
    differences = compare_with_reference(exported.folder, path, 1e-6)
    assert set(differences) == {*COMMON_SIGNATURES, "classify", "regress"}


def test_lite_file_when_made_of_the_transformed_signature_then_takes_the_same_names(exported):
    features = {name: exported.features[name] for name in (*READ, "tags")}
    lite = LiteModel(convert(exported.folder, "transformed", "float32", features))
    assert set(lite.inputs) == set(features)
    expected = exported.session.run("transformed", features)["score"]
    np.testing.assert_allclose(lite.run(features)["score"], expected, atol=1e-6)


@pytest.mark.parametrize("value", [2.5, np.inf, 2.0**53, -1e300])
@pytest.mark.parametrize("name", [ROOMS, BIDS])
def test_raw_integers_when_a_number_is_none_then_refuses_and_names_the_feature(
    exported, name, value
):
    raw = {key: values.copy() for key, values in RAW.items()}
    raw[name].flat[0] = value
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"{name}: allowed: whole numbers"):
        exported.session.run("serving_raw", raw)


def test_raw_integers_when_large_then_are_exact():
    feature = RawFeature("id", tf.io.VarLenFeature(tf.int64), is_single=True)
    largest = 2**53 - 1
    found = feature.to_raw(tf.constant([largest, -largest, np.nan], tf.float64))
    assert found.values.numpy().tolist() == [largest, -largest]
    assert found.indices.numpy().tolist() == [[0, 0], [1, 0]]
    assert found.dense_shape.numpy().tolist() == [3, 1]
    beyond = tf.sparse.from_dense(tf.constant([[largest], [largest + 1]]))
    np.testing.assert_array_equal(feature.from_parsed(beyond), [largest, np.nan])


@pytest.mark.parametrize("dtype", [tf.float32, tf.int64, tf.string])
@pytest.mark.parametrize("is_single", [True, False])
@pytest.mark.parametrize("present", [0, 1, 2])
def test_raw_feature_when_given_as_a_tensor_then_is_as_parsed_from_examples(
    dtype, is_single, present
):
    values = ["a", "b", "c"] if dtype == tf.string else [dtype.as_numpy_dtype(i) for i in (0, 5, 7)]
    rows = [[], values[: 1 if is_single else 3], []] if present == 1 else [[], []]
    rows += [values[:1]] * (present == 2)
    serialized = [
        flats.example({"x": [v if dtype == tf.string else v.item() for v in row]}) for row in rows
    ]
    feature = RawFeature("x", tf.io.VarLenFeature(dtype), is_single)
    parsed = tf.io.parse_example(serialized, {"x": feature.parsing})["x"]
    tensor = feature.from_parsed(parsed)
    assert tensor.dtype == feature.dtype
    assert tensor.shape.rank == 1 + len(feature.shape)
    found = feature.to_raw(tensor)
    assert found.dtype == parsed.dtype
    for part in ("indices", "values", "dense_shape"):
        expected = getattr(parsed, part).numpy().tolist()
        assert getattr(found, part).numpy().tolist() == expected, part


def test_schema_when_a_feature_is_sparse_or_has_no_name_then_is_refused():
    spec = {"x": tf.io.SparseFeature("at", "of", tf.float32, 10)}
    message = "^raw feature 'x': found SparseFeature in the schema; allowed: a list of values"
    with pytest.raises(ValueError, match=message):
        spec_of_schema(schema_utils.schema_from_feature_spec(spec))
    schema = schema_pb2.Schema()
    schema.feature.add(name="", type=schema_pb2.FLOAT)
    with pytest.raises(ValueError, match="found an empty name; allowed: any other text"):
        spec_of_schema(schema)
