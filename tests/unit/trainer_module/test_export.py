"""The SavedModel answers as the model in memory does, from raw data and without the label."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip
import tf_keras as keras  # isort: skip
from tensorflow.core.protobuf import saved_model_pb2  # isort: skip

from trainer_module.export import ServingModel  # isort: skip
from serving.session import SavedModelSession  # isort: skip
from trainer_module.tasks.base import COMMON_SIGNATURES, Classification  # isort: skip
from trainer_module.tasks.breast_cancer import BreastCancer  # isort: skip
from trainer_module.tasks.digits import Digits  # isort: skip

RAW_SPEC = {
    "image": tf.io.FixedLenFeature([64], tf.float32),
    "digit": tf.io.FixedLenFeature([1], tf.int64),
}
SIGNATURES = {*COMMON_SIGNATURES, "classify"}
TAKES_RAW = {"serving_raw", "embedding"}


@dataclass(frozen=True)
class Exported:
    """One model, in memory and as loaded from its SavedModel."""

    model: keras.Model
    serving: ServingModel
    folder: Path
    loaded: Any


def _example(**values: list) -> bytes:
    feature = {
        name: tf.train.Feature(int64_list={"value": value})
        if isinstance(value[0], int)
        else tf.train.Feature(float_list={"value": value})
        for name, value in values.items()
    }
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


def _export(task: Any, transform: Any, spec: dict, label: str, folder: str) -> Exported:
    keras.utils.set_random_seed(0)
    model = task.build_model(transform.transformed_feature_spec())
    serving = ServingModel(task, model, transform, spec, label)
    serving.save(folder)
    return Exported(model, serving, Path(folder), tf.saved_model.load(folder))


@pytest.fixture(scope="module")
def exported(digits_transform, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    folder = str(tmp_path_factory.mktemp("export") / "digits")
    return _export(Digits(filters=4, embedding=8), digits_transform, RAW_SPEC, "digit", folder)


@pytest.fixture(scope="module")
def tumours() -> dict[str, np.ndarray]:
    data = load_breast_cancer()
    names = [name.replace(" ", "_") for name in data.feature_names]
    return dict(zip(names, data.data[:40].T.astype(np.float32), strict=True))


@pytest.fixture(scope="module")
def exported_tumours(
    analyze: Callable, tumours: dict, tmp_path_factory: pytest.TempPathFactory
) -> Exported:
    """The breast cancer task: every raw feature is a single value."""
    spec = {name: tf.io.FixedLenFeature([1], tf.float32) for name in tumours}
    spec["target"] = tf.io.FixedLenFeature([1], tf.int64)
    rows = [
        {name: values[[i]] for name, values in tumours.items()} | {"target": np.array([i % 2])}
        for i in range(40)
    ]
    transform = analyze(rows, spec, lambda x: BreastCancer.preprocessing_fn(x, label="target"))
    folder = str(tmp_path_factory.mktemp("export") / "tumours")
    return _export(BreastCancer(units=(8, 4)), transform, spec, "target", folder)


def _assert_close(found: dict, expected: dict) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].dtype == value.dtype, name
        assert found[name].shape == value.shape, name
        if value.dtype == tf.string:
            assert found[name].numpy().tolist() == value.numpy().tolist()
        else:
            np.testing.assert_allclose(found[name], value, rtol=1e-6, atol=1e-6, err_msg=name)


def test_saved_model_when_loaded_then_has_exactly_the_signatures_of_the_contract(exported):
    assert set(exported.loaded.signatures) == set(exported.serving.signatures) == SIGNATURES


def test_saved_model_when_written_then_has_no_function_that_no_signature_calls(exported):
    """Keras would add several of its own for every layer."""
    model = saved_model_pb2.SavedModel()
    model.ParseFromString((exported.folder / "saved_model.pb").read_bytes())
    (graph,) = model.meta_graphs
    names = [function.signature.name for function in graph.graph_def.library.function]
    assert names
    assert [name for name in names if "call_fn" in name or "call_and_return" in name] == []


@pytest.mark.parametrize("name", sorted(SIGNATURES))
def test_signature_when_loaded_then_answers_as_in_memory(exported, digit_examples, name):
    inputs = exported.serving.inputs(name, tf.constant(digit_examples[:20]))
    _assert_close(
        exported.loaded.signatures[name](**inputs), exported.serving.signatures[name](**inputs)
    )


def test_serving_when_asked_then_answers_as_the_model_does_for_transformed_digits(
    exported, digit_examples, raw_digits
):
    """Held to the model itself: pixels over 16, no Transform graph in between."""
    pixels = np.stack([raw["image"] for raw in raw_digits[:20]])
    outputs = exported.model({"image": pixels.reshape(-1, 8, 8, 1) / 16.0})
    expected = Digits().serving_outputs(outputs)
    examples = tf.constant(digit_examples[:20])
    _assert_close(exported.loaded.signatures["serving_default"](examples=examples), expected)
    raw = tf.constant(pixels)
    _assert_close(exported.loaded.signatures["serving_raw"](image=raw), expected)
    embedding = {"embedding": outputs["embedding"]}
    _assert_close(exported.loaded.signatures["embedding"](image=raw), embedding)


def test_transformed_when_asked_then_answers_as_serving_default_does_but_for_strings(
    exported, digit_examples
):
    examples = tf.constant(digit_examples[:20])
    expected = dict(exported.loaded.signatures["serving_default"](examples=examples))
    del expected["label"]
    features = exported.loaded.signatures["transform_features"](examples=examples)
    _assert_close(exported.loaded.signatures["transformed"](image=features["image"]), expected)


def test_transformed_when_loaded_then_takes_the_features_that_the_model_reads_and_no_label(
    exported, exported_tumours
):
    found = {
        name: (spec.shape.as_list(), spec.dtype)
        for loaded in (exported.loaded, exported_tumours.loaded)
        for name, spec in loaded.signatures["transformed"].structured_input_signature[1].items()
    }
    assert found == {
        "image": ([None, 8, 8, 1], tf.float32),
        "measurements": ([None, 30], tf.float32),
    }


def test_transformed_when_the_model_does_not_say_what_it_reads_then_takes_all_but_the_labels(
    digits_transform,
):
    class Subclassed(keras.Model):
        """Says nothing of its inputs before it is called."""

        def call(self, features, training=False):
            image = tf.reshape(features["image"], [-1, 64])
            return {"class": image[:, :10], "attribute": image[:, :2], "embedding": image}

    serving = ServingModel(Digits(), Subclassed(), digits_transform, RAW_SPEC, "digit")
    _, inputs = serving.signatures["transformed"].function.structured_input_signature
    assert set(inputs) == {"image"}


def test_serving_default_when_examples_carry_the_label_then_answers_the_same(
    exported, digit_examples, raw_digits
):
    labelled = [
        _example(image=raw["image"].tolist(), digit=[int(raw["digit"][0])])
        for raw in raw_digits[:5]
    ]
    answer = exported.loaded.signatures["serving_default"]
    _assert_close(
        answer(examples=tf.constant(labelled)), answer(examples=tf.constant(digit_examples[:5]))
    )


def test_serving_default_when_a_feature_other_than_the_label_is_missing_then_refuses(exported):
    with pytest.raises(tf.errors.InvalidArgumentError, match="image"):
        exported.loaded.signatures["serving_default"](examples=tf.constant([_example(digit=[3])]))


def test_signature_when_asked_about_rows_one_by_one_then_answers_as_for_all(
    exported, digit_examples
):
    answer = exported.loaded.signatures["serving_default"]
    together = answer(examples=tf.constant(digit_examples[:3]))["probabilities"]
    for index in range(3):
        alone = answer(examples=tf.constant(digit_examples[index : index + 1]))["probabilities"]
        np.testing.assert_allclose(alone[0], together[index], rtol=1e-5, atol=1e-6)


def test_raw_signatures_when_loaded_then_take_one_tensor_a_raw_feature_without_the_label(exported):
    for name in TAKES_RAW:
        _, inputs = exported.loaded.signatures[name].structured_input_signature
        assert {key: (spec.shape.as_list(), spec.dtype) for key, spec in inputs.items()} == {
            "image": ([None, 64], tf.float32)
        }


def test_transform_features_when_labelled_then_gives_features_and_label(exported, raw_digits):
    examples = [_example(image=raw["image"].tolist(), digit=[7]) for raw in raw_digits[:4]]
    found = exported.loaded.signatures["transform_features"](examples=tf.constant(examples))
    assert {name: tuple(value.shape) for name, value in found.items()} == {
        "image": (4, 8, 8, 1),
        "class": (4,),
        "attribute": (4, 2),
    }
    assert found["class"].numpy().tolist() == [7] * 4


def test_transform_features_when_the_integer_label_is_missing_then_gives_minus_1(
    exported, digit_examples
):
    signature = exported.loaded.signatures["transform_features"]
    found = signature(examples=tf.constant(digit_examples[:4]))
    assert found["class"].numpy().tolist() == [-1] * 4


@pytest.mark.parametrize(
    ("dtype", "shape", "missing"),
    [(tf.float32, [1], np.nan), (tf.string, [1], b""), (tf.int64, [], -1)],
)
def test_transform_features_when_a_label_is_missing_then_gives_the_value_of_its_type(
    analyze, dtype, shape, missing
):
    spec = {
        "x": tf.io.FixedLenFeature([1], tf.float32),
        "y": tf.io.FixedLenFeature(shape, dtype),
    }
    y = np.full(shape, {tf.float32: 0.5, tf.string: b"yes", tf.int64: 3}[dtype])
    rows = [{"x": np.array([1.0], np.float32), "y": y}]
    transform = analyze(
        rows, spec, lambda inputs: {name: tf.identity(value) for name, value in inputs.items()}
    )
    inputs = keras.Input((1,), name="x")
    classes = tf.tile(inputs, [1, 10])
    model = keras.Model({"x": inputs}, {"embedding": inputs, "class": classes, "attribute": inputs})
    serving = ServingModel(Digits(), model, transform, spec, "y")
    found = serving.signatures["transform_features"](examples=tf.constant([_example(x=[1.5])]))
    assert found["y"].dtype == dtype
    np.testing.assert_array_equal(found["y"].numpy().reshape(-1), [missing])


def test_scalar_raw_feature_when_served_then_is_a_scalar_to_the_client(exported_tumours, tumours):
    signature = exported_tumours.loaded.signatures["serving_raw"]
    _, inputs = signature.structured_input_signature
    assert set(inputs) == set(tumours)
    assert {tuple(spec.shape.as_list()) for spec in inputs.values()} == {(None,)}
    raw = {name: tf.constant(values[:6]) for name, values in tumours.items()}
    examples = [
        _example(**{name: [float(values[i])] for name, values in tumours.items()}) for i in range(6)
    ]
    found = signature(**raw)
    assert found["score"].shape == (6,)
    served = exported_tumours.loaded.signatures["serving_default"]
    _assert_close(found, served(examples=tf.constant(examples)))


def test_methods_when_exported_then_are_those_that_tf_serving_asks_by(exported, exported_tumours):
    found = {
        name: definition.method_name.removeprefix("tensorflow/serving/")
        for name, definition in SavedModelSession(exported_tumours.folder).signatures.items()
    }
    assert found == {
        **dict.fromkeys(COMMON_SIGNATURES, "predict"),
        "classify": "classify",
        "regress": "regress",
    }
    assert "regress" not in SavedModelSession(exported.folder).signatures


def test_classify_when_asked_then_names_every_class_with_its_probability(exported, digit_examples):
    session = SavedModelSession(exported.folder)
    examples = np.array(digit_examples[:5], object)
    found = session.run("classify", {"inputs": examples})
    assert found.keys() == {"classes", "scores"}
    assert found["classes"].tolist() == [[str(digit).encode() for digit in range(10)]] * 5
    assert found["scores"].dtype == np.float32
    probabilities = session.run("serving_default", {"examples": examples})["probabilities"]
    np.testing.assert_allclose(found["scores"], probabilities, atol=1e-6)


def test_regress_when_asked_then_gives_the_score_of_each_row(exported_tumours, tumours):
    examples = [
        _example(**{name: [float(values[i])] for name, values in tumours.items()}) for i in range(6)
    ]
    session = SavedModelSession(exported_tumours.folder)
    found = session.run("regress", {"inputs": np.array(examples, object)})["outputs"]
    assert (found.dtype, found.shape) == (np.float32, (6,))
    raw = {name: values[:6] for name, values in tumours.items()}
    np.testing.assert_allclose(found, session.run("serving_raw", raw)["score"], atol=1e-6)


def test_save_when_a_model_is_there_already_then_replaces_it_and_leaves_other_files(
    exported, digits_transform, digit_examples, tmp_path
):
    folder = tmp_path / "model"
    task = Digits(filters=2, embedding=4)
    first = ServingModel(task, task.build_model({}), digits_transform, RAW_SPEC, "digit")
    first.save(str(folder))
    (folder / "notes.txt").write_text("keep me")
    exported.serving.save(f"{folder}/")
    inputs = {"inputs": tf.constant(digit_examples[:3])}
    _assert_close(
        tf.saved_model.load(str(folder)).signatures["classify"](**inputs),
        exported.serving.signatures["classify"](**inputs),
    )
    assert (folder / "notes.txt").read_text() == "keep me"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_save_when_it_dies_before_the_methods_are_named_then_there_is_no_model(
    exported, tmp_path, monkeypatch
):
    updater = tf.compat.v1.saved_model.signature_def_utils.MethodNameUpdater

    def die(self, name, method):
        raise OSError("disk full")

    monkeypatch.setattr(updater, "replace_method_name", die)
    with pytest.raises(OSError, match="disk full"):
        exported.serving.save(str(tmp_path / "model"))
    assert not (tmp_path / "model").exists()
    monkeypatch.undo()
    exported.serving.save(str(tmp_path / "model"))
    assert SavedModelSession(tmp_path / "model").signatures.keys() == SIGNATURES
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_classification_when_the_rows_share_their_classes_then_each_row_has_all(exported):
    scores = tf.constant([[0.1, 0.9], [0.6, 0.4], [0.5, 0.5]])
    found = Classification.of_all(["no", "yes"], scores)
    assert found.classes.numpy().tolist() == [[b"no", b"yes"]] * 3
    assert found.scores is scores
