"""What an export is measured by, and what is told of a model that cannot be."""

from __future__ import annotations

import pytest
import tensorflow as tf

from serving.lite.bench import Bench
from serving.lite.job import LiteExportFailed


def saved(folder, **signatures):
    module = tf.Module()
    module.functions = list(signatures.values())
    tf.saved_model.save(module, str(folder), signatures)
    return folder


def of_text(body):
    return tf.function(body, input_signature=[tf.TensorSpec([None], tf.string, name="examples")])


def of_numbers(name, body):
    return tf.function(body, input_signature=[tf.TensorSpec([None, 2], tf.float32, name=name)])


@pytest.fixture
def model(tmp_path):
    """Writes a model whose features are made of an example's length."""

    def write(name, body, feature="x"):
        def features(examples):
            length = tf.cast(tf.strings.length(examples), tf.float32)
            return {feature: tf.stack([length, -length], axis=1) / 300.0}

        return saved(
            tmp_path / "model",
            transform_features=of_text(features),
            transformed=of_numbers(name, body),
        )

    return write


def test_bench_when_the_model_lacks_the_signatures_then_says_which_and_what_it_has(
    make_job, tmp_path
):
    folder = saved(tmp_path / "model", serving_default=of_numbers("x", lambda x: {"y": 2 * x}))
    with pytest.raises(LiteExportFailed) as caught:
        Bench(make_job(folder=folder))
    assert str(caught.value) == (
        "no signature transform_features nor transformed among serving_default"
    )


def test_bench_when_there_is_no_model_then_says_so(make_job, tmp_path):
    with pytest.raises(LiteExportFailed, match="SavedModel file does not exist"):
        Bench(make_job(folder=tmp_path))


def test_bench_when_a_feature_is_not_made_then_says_which(make_job, model):
    folder = model("image", lambda image: {"y": 2 * image})
    with pytest.raises(LiteExportFailed, match="takes image; transform_features gives x"):
        Bench(make_job(folder=folder))


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "found none in"), (b"no TFRecord", "not a gzip|corrupted|data loss|incorrect header")],
    ids=["empty", "damaged"],
)
def test_bench_when_the_examples_cannot_be_read_then_says_so(
    make_job, lite_source, tmp_path, content, message
):
    path = tmp_path / "data.gz"
    path.write_bytes(content)
    job = make_job().model_copy(update={"test": [path]})
    with pytest.raises(LiteExportFailed, match=f"(?i){message}"):
        Bench(job)


def test_measure_when_tf_lite_lacks_an_operation_then_names_it_instead_of_raising(
    make_job, model, tmp_path
):
    folder = model("x", lambda x: {"y": tf.math.igamma(tf.abs(x) + 1.0, tf.abs(x))})
    measured = Bench(make_job(folder=folder)).measure("float32", tmp_path / "out.tflite")
    assert measured.failure == "not converted: operations without a kernel: Igamma"
    assert not (tmp_path / "out.tflite").exists()


def test_measure_when_8_bits_have_no_kernel_then_int8_fails_and_int8_float_falls_back(
    make_job, model, tmp_path
):
    folder = model("x", lambda x: {"y": tf.math.ceil(x * 3.0) + tf.matmul(x, tf.eye(2))})
    bench = Bench(make_job(folder=folder))
    found = bench.measure("int8", tmp_path / "a").failure
    assert found.startswith("not all in 8 bits: floats in ")
    assert "Ceil" in found
    assert not (tmp_path / "a").exists()
    measured = bench.measure("int8_float", tmp_path / "b")
    assert measured.failure is None
    assert measured.comparison.error["y"] < 0.2
