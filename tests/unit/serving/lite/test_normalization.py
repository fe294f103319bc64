"""The scaling of a picture, read off the picture."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from serving.lite.normalization import Normalization, find_normalization, find_normalizations

RAW = np.random.default_rng(0).integers(0, 256, (5, 4, 4, 3)).astype(np.uint8)


def test_scaling_when_one_for_all_channels_then_one_mean_and_std():
    scaled = (RAW / 127.5 - 1.0).astype(np.float32)
    assert find_normalization(RAW, scaled) == Normalization([127.5], [127.5])
    assert find_normalization(RAW.reshape(5, -1), scaled) == Normalization([127.5], [127.5])


def test_scaling_when_none_is_applied_then_0_and_1():
    assert find_normalization(RAW, RAW.astype(np.float32)) == Normalization([0.0], [1.0])


def test_scaling_when_each_channel_has_its_own_then_as_many():
    mean, std = np.array([120.0, 110.0, 100.0]), np.array([60.0, 50.0, 40.0])
    scaled = ((RAW - mean) / std).astype(np.float32)
    found = find_normalization(RAW, scaled)
    np.testing.assert_allclose(found.mean, mean, rtol=1e-5)
    np.testing.assert_allclose(found.std, std, rtol=1e-5)


@pytest.mark.parametrize(
    "transformed",
    [
        pytest.param(np.sqrt(RAW), id="not linear"),
        pytest.param(RAW[:, ::-1] / 255.0, id="flipped"),
        pytest.param(np.zeros(RAW.shape), id="constant"),
        pytest.param(RAW[:, :2] / 255.0, id="another size"),
        pytest.param(np.minimum(RAW, 200) / 255.0, id="clipped"),
    ],
)
def test_scaling_when_it_is_none_then_none(transformed):
    assert find_normalization(RAW, transformed.astype(np.float32)) is None


def test_scaling_when_the_raw_values_do_not_vary_then_none():
    assert find_normalization(np.ones((3, 2, 2, 1)), np.ones((3, 2, 2, 1))) is None


def info(dtype, *shape):
    with tf.Graph().as_default():
        placeholder = tf.compat.v1.placeholder(dtype, [None, *shape])
        return tf.compat.v1.saved_model.build_tensor_info(placeholder)


def example(**features):
    made = tf.train.Example()
    for name, values in features.items():
        if isinstance(values, bytes):
            made.features.feature[name].bytes_list.value.append(values)
        else:
            made.features.feature[name].float_list.value.extend(np.ravel(values).tolist())
    return made.SerializeToString()


def test_normalizations_when_pictures_are_encoded_then_are_of_the_decoded_pixels():
    examples = [example(image=tf.io.encode_png(picture).numpy()) for picture in RAW]
    inputs = {"image": (RAW / 255.0).astype(np.float32)}
    found = find_normalizations({"image": info(tf.string)}, examples, inputs)
    assert found == {"image": Normalization([0.0], [255.0])}


def test_normalizations_when_raw_numbers_then_are_of_them_and_other_inputs_have_none():
    examples = [example(image=picture, width=[1.0]) for picture in RAW]
    inputs = {
        "image": (RAW / 16.0).astype(np.float32),
        "width": np.ones((5, 1), np.float32),
        "made_up": (RAW / 16.0).astype(np.float32),
    }
    raw = {"image": info(tf.float32, 48), "width": info(tf.float32, 1)}
    assert find_normalizations(raw, examples, inputs) == {"image": Normalization([0.0], [16.0])}


@pytest.mark.parametrize("content", [b"plain text", None], ids=["text", "several sizes"])
def test_normalizations_when_strings_are_no_pictures_of_one_size_then_none(content):
    pictures = [tf.io.encode_png(RAW[row, : 2 + row % 2]).numpy() for row in range(5)]
    examples = [example(image=content or picture) for picture in pictures]
    inputs = {"image": (RAW / 255.0).astype(np.float32)}
    assert find_normalizations({"image": info(tf.string)}, examples, inputs) == {}


def test_normalizations_when_rows_may_lack_the_picture_then_none():
    nullable = info(tf.string)
    nullable.tensor_shape.dim[0].name = "nullable"
    examples = [example(), *(example(image=tf.io.encode_png(picture).numpy()) for picture in RAW)]
    inputs = {"image": np.zeros((6, 4, 4, 3), np.float32)}
    assert find_normalizations({"image": nullable}, examples, inputs) == {}
