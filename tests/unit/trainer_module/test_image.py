"""The image task: pictures as pixels, the networks, and what a client gets; cifar10 with it."""

from __future__ import annotations

import io

import numpy as np
import PIL.Image
import pytest
import yaml

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip
import tf_keras as keras  # isort: skip

from trainer_module.tasks import losses  # isort: skip
from trainer_module.tasks.cifar10 import Cifar10  # isort: skip
from trainer_module.tasks.cifar10.task import CLASSES  # isort: skip
from trainer_module.tasks.image import Image  # isort: skip
from trainer_module.tasks.image.features import preprocessing_fn  # isort: skip

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (5, 32, 32, 3)).astype(np.uint8)
SPEC = {"image": tf.io.FixedLenFeature([32, 32, 3], tf.float32)}


def preprocess(pictures, labels=None, **options):
    images = tf.constant([[picture] for picture in pictures])
    names = tf.constant([[label] for label in labels or ["cat"] * len(pictures)])
    options = {"classes": CLASSES, **options}
    return preprocessing_fn({"image": images, "kind": names}, label="kind", **options)


def png(pixels):
    return tf.io.encode_png(pixels).numpy()


def test_features_when_pictures_are_png_then_are_their_pixels_as_whole_numbers():
    image = preprocess([png(pixels) for pixels in PIXELS])["image"]
    assert (image.shape, image.dtype) == ((5, 32, 32, 3), tf.float32)
    np.testing.assert_array_equal(image, PIXELS)


def test_features_when_pictures_are_jpeg_then_are_what_tensorflow_decodes():
    smooth = np.linspace(0, 255, 32 * 32 * 3).reshape(32, 32, 3).astype(np.uint8)
    encoded = tf.io.encode_jpeg(smooth, quality=100).numpy()
    image = preprocess([encoded, png(smooth)])["image"]
    np.testing.assert_array_equal(image[0], tf.io.decode_jpeg(encoded))
    np.testing.assert_allclose(image[0], image[1], atol=12)


def test_features_when_a_picture_is_grey_or_transparent_then_has_three_channels_all_the_same():
    grey, rgba = PIXELS[0][..., :1], np.concatenate([PIXELS[1], PIXELS[2][..., :1]], axis=-1)
    image = preprocess([png(grey), png(rgba)])["image"]
    np.testing.assert_array_equal(image[0], np.repeat(grey, 3, axis=-1))
    np.testing.assert_array_equal(image[1], PIXELS[1])


def test_features_when_pictures_have_other_sizes_then_are_resized():
    large = np.zeros((96, 64, 3), np.uint8)
    large[:48] = (250, 100, 50)
    small = np.full((7, 5, 3), 9, np.uint8)
    image = preprocess([png(large), png(small)], image_size=16)["image"]
    assert image.shape == (2, 16, 16, 3)
    np.testing.assert_array_equal(image[0, :6], np.broadcast_to((250, 100, 50), (6, 16, 3)))
    np.testing.assert_array_equal(image[0, 10:], 0)
    np.testing.assert_array_equal(image[1], 9)
    np.testing.assert_array_equal(image, np.round(image))


@pytest.mark.parametrize("size", [(12, 20), [12, 20]])
def test_features_when_the_size_is_a_rectangle_then_is_height_and_width(size):
    high = np.zeros((40, 30, 3), np.uint8)
    high[:20] = 200
    image = preprocess([png(high)], image_size=size)["image"]
    assert image.shape == (1, 12, 20, 3)
    np.testing.assert_array_equal(image[0, :5], 200)
    np.testing.assert_array_equal(image[0, 7:], 0)


def test_features_when_grey_is_asked_for_then_grey_pictures_stay_and_others_lose_their_colour():
    grey = PIXELS[0][..., :1]
    grey_alpha = np.concatenate([grey, PIXELS[1][..., :1]], axis=-1)
    rgba = np.concatenate([PIXELS[2], PIXELS[1][..., :1]], axis=-1)
    pictures = [png(picture) for picture in (grey, grey_alpha, PIXELS[2], rgba)]
    image = preprocess(pictures, channels=1)["image"]
    assert (image.shape, image.dtype) == ((4, 32, 32, 1), tf.float32)
    np.testing.assert_array_equal(image[0], grey)
    np.testing.assert_array_equal(image[1], grey)
    expected = np.round(PIXELS[2] @ np.array([0.299, 0.587, 0.114]))
    np.testing.assert_allclose(image[2, ..., 0], expected, atol=1)
    np.testing.assert_array_equal(image[3], image[2])
    white = preprocess([png(np.full((32, 32, 3), 255, np.uint8))], channels=1)["image"]
    np.testing.assert_array_equal(white, 255)


@pytest.mark.parametrize("channels", [1, 3])
def test_features_when_a_jpeg_is_in_the_colours_of_printing_then_is_converted(channels):
    content = io.BytesIO()
    PIL.Image.new("CMYK", (8, 8), (0, 0, 0, 0)).save(content, "JPEG")
    image = preprocess([content.getvalue()], channels=channels, image_size=8)["image"]
    np.testing.assert_array_equal(image, np.full((1, 8, 8, channels), 255))


def test_features_when_the_pictures_are_in_another_column_then_are_taken_from_it():
    inputs = {"x": tf.constant([[png(PIXELS[0])]]), "n": tf.zeros([1, 1]), "y": tf.constant([[3]])}
    found = preprocessing_fn(inputs, label="y", classes=CLASSES, column="x")
    np.testing.assert_array_equal(found["image"][0], PIXELS[0])
    assert found["class"].numpy().tolist() == [3]
    for column, kind in (
        ("image", "no such column"),
        ("n", "a column of numbers"),
        ("y", "the label"),
    ):
        message = rf"column: found '{column}', {kind}; allowed: .* pictures, as may be: x$"
        with pytest.raises(ValueError, match=message):
            preprocessing_fn(inputs, label="y", classes=CLASSES, column=column)


def test_class_when_labels_are_integers_then_are_the_numbers_of_classes():
    def classes_of(labels):
        inputs = {"image": tf.constant([[png(PIXELS[0])]] * len(labels)), "y": tf.constant(labels)}
        return preprocessing_fn(inputs, label="y", classes=("a", "b", "c"))["class"]

    found = classes_of([[2], [0], [-1]])
    assert (found.numpy().tolist(), found.dtype) == ([2, 0, -1], tf.int64)
    for wrong in (3, -2):
        with pytest.raises(tf.errors.InvalidArgumentError, match=rf"(?s)none of 0 to 2.*{wrong}"):
            classes_of([[0], [wrong]])
    with pytest.raises(
        ValueError, match="label: found 'y', a column of fractions; allowed: names of"
    ):
        classes_of([[0.5]])


def test_features_when_traced_then_their_shapes_are_known():
    """The model is built from them."""

    @tf.function(input_signature=[{n: tf.TensorSpec([None, 1], tf.string) for n in ("image", "k")}])
    def traced(inputs):
        features = preprocessing_fn(inputs, label="k", classes=CLASSES)
        assert features["image"].shape.as_list() == [None, 32, 32, 3]
        assert features["class"].shape.as_list() == [None]
        return features

    found = traced({"image": tf.constant([[png(PIXELS[0])]]), "k": tf.constant([["frog"]])})
    np.testing.assert_array_equal(found["image"][0], PIXELS[0])
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"none of airplane, .*\[lynx\]"):
        traced({"image": tf.constant([[png(PIXELS[0])]]), "k": tf.constant([["lynx"]])})


def test_features_when_a_picture_does_not_decode_then_is_an_error():
    with pytest.raises(tf.errors.InvalidArgumentError):
        preprocess([png(PIXELS[0]), b"no picture"])


def test_class_when_labels_are_names_then_is_their_number_and_without_a_label_minus_one():
    labels = ["truck", "", "airplane", "cat"]
    found = preprocess([png(PIXELS[0])] * 4, labels)["class"]
    assert found.dtype == tf.int64
    assert found.numpy().tolist() == [9, -1, 0, 3]


def test_class_when_the_classes_are_ones_own_then_their_order_counts():
    labels = ["lynx", "ape"]
    found = preprocess([png(PIXELS[0])] * 2, labels, classes=["ape", "lynx"])["class"]
    assert found.numpy().tolist() == [1, 0]


def test_top_k_hit_when_computed_then_is_one_where_the_label_is_among_the_k_largest():
    logits = tf.constant([[4.0, 3, 2, 1], [1, 2, 3, 4], [0, 9, 0, 1]])
    labels = tf.constant([2, 1, 3], tf.int64)
    hits = {k: losses.top_k_hit(k)(labels, logits).numpy().tolist() for k in (1, 2, 3)}
    assert hits == {1: [0, 0, 0], 2: [0, 0, 1], 3: [1, 1, 1]}
    assert losses.top_k_hit(2)(labels, logits).dtype == tf.float32


@pytest.fixture(scope="module")
def small():
    return Cifar10(filters=(4, 6, 8), blocks=2).build_model(SPEC)


def test_model_when_called_then_gives_logits_and_embedding(small):
    found = small({"image": tf.constant(PIXELS, tf.float32)})
    shapes = {name: (tuple(value.shape), value.dtype) for name, value in found.items()}
    assert shapes == {"class": ((5, 10), tf.float32), "embedding": ((5, 8), tf.float32)}


def test_model_when_built_then_each_stage_halves_the_resolution_and_takes_its_filters(small):
    shapes = {
        (stage, block): small.get_layer(f"stage{stage}_block{block}_add").output.shape[1:]
        for stage in (1, 2, 3)
        for block in (1, 2)
    }
    assert shapes == {
        (1, 1): (32, 32, 4),
        (1, 2): (32, 32, 4),
        (2, 1): (16, 16, 6),
        (2, 2): (16, 16, 6),
        (3, 1): (8, 8, 8),
        (3, 2): (8, 8, 8),
    }


def test_model_when_the_shape_changes_then_and_only_then_the_shortcut_is_projected(small):
    projected = {layer.name for layer in small.layers if layer.name.endswith("shortcut_conv")}
    assert projected == {"stage2_block1_shortcut_conv", "stage3_block1_shortcut_conv"}


def test_model_when_built_by_default_then_has_three_stages_of_64_128_256_filters():
    model = Cifar10().build_model(SPEC)
    added = [layer for layer in model.layers if layer.name.endswith("_add")]
    assert [layer.output.shape[1:] for layer in added] == [(32, 32, 64), (16, 16, 128), (8, 8, 256)]
    assert model.get_layer("embedding").output.shape == (None, 256)


def test_model_when_the_stem_has_stride_two_then_all_stages_are_half_as_large():
    model = Cifar10(filters=(4, 6, 8), stem_stride=2).build_model(SPEC)
    sides = [layer.output.shape[1] for layer in model.layers if layer.name.endswith("_add")]
    assert sides == [16, 8, 4]


def test_model_when_pictures_are_larger_then_takes_their_shape_from_the_features():
    spec = {"image": tf.io.FixedLenFeature([48, 48, 3], tf.float32)}
    model = Cifar10(filters=(4, 6)).build_model(spec)
    assert model({"image": tf.zeros([2, 48, 48, 3])})["class"].shape == (2, 10)


def test_residual_block_when_its_convolutions_give_nothing_then_passes_its_input_on(small):
    norm = small.get_layer("stage1_block2_2_norm")
    norm.gamma.assign(tf.zeros_like(norm.gamma))
    before = small.get_layer("stage1_block1_relu2").output
    after = small.get_layer("stage1_block2_relu2").output
    part = keras.Model(small.inputs, [before, after])
    x, y = part({"image": tf.constant(PIXELS, tf.float32)})
    np.testing.assert_array_equal(x, y)
    assert np.ptp(x) > 0


def test_model_when_it_scales_pixels_then_they_lie_between_minus_one_and_one(small):
    scaled = small.get_layer("scale")(tf.constant([[0.0, 127.5, 255.0]]))
    np.testing.assert_allclose(scaled, [[-1, 0, 1]], atol=1e-6)


def test_model_when_trained_then_dropout_acts_on_the_embedding_alone():
    model = Cifar10(filters=(4,), dropout=0.9).build_model(SPEC)
    images = {"image": tf.constant(PIXELS, tf.float32)}
    first, second = model(images, training=True), model(images, training=True)
    np.testing.assert_array_equal(first["embedding"], second["embedding"])
    assert not np.array_equal(first["class"], second["class"])


def test_small_network_when_built_then_pools_between_stages_of_plain_convolutions():
    model = Image(["a", "b"], network="small", filters=(4, 6, 8), blocks=2, channels=1).build_model(
        {"image": tf.io.FixedLenFeature([28, 28, 1], tf.float32)}
    )
    shapes = {
        layer.name: layer.output.shape[1:]
        for layer in model.layers
        if isinstance(layer, keras.layers.Conv2D)
    }
    assert shapes == {
        f"stage{stage}_block{block}_conv": (side, side, width)
        for stage, side, width in ((1, 28, 4), (2, 14, 6), (3, 7, 8))
        for block in (1, 2)
    }
    found = model({"image": tf.zeros([5, 28, 28, 1])})
    assert {name: tuple(value.shape) for name, value in found.items()} == {
        "class": (5, 2),
        "embedding": (5, 8),
    }


def test_small_network_when_pictures_are_tiny_or_its_stem_has_stride_two_then_still_holds():
    task = Image(["a", "b"], network="small", stem_stride=2)
    tiny = task.build_model({"image": tf.io.FixedLenFeature([2, 3, 3], tf.float32)})
    assert tiny({"image": tf.zeros([1, 2, 3, 3])})["embedding"].shape == (1, 128)
    model = task.build_model(SPEC)
    sides = [model.get_layer(f"stage{stage}_block1_relu").output.shape[1] for stage in (1, 2, 3)]
    assert sides == [16, 8, 4]


def test_small_network_when_its_filters_are_its_own_then_is_smaller_than_the_residual_one():
    sizes = [
        Image(["a", "b"], network=network).build_model(SPEC).count_params()
        for network in ("small", "residual")
    ]
    assert sizes[0] < 0.1 * sizes[1]


def test_options_when_the_task_has_them_then_its_preprocessing_gets_those_of_features():
    task = Image(["b", "a"], image_size=[8, 12], channels=1, column="x")
    options = task.transform_options()
    assert options == {
        "classes": ["b", "a"],
        "image_size": [8, 12],
        "channels": 1,
        "column": "x",
    }
    inputs = {"x": tf.constant([[png(PIXELS[0])]]), "k": tf.constant([["a"]])}
    found = type(task).preprocessing_fn(inputs, label="k", **options)
    assert found["image"].shape == (1, 8, 12, 1)
    assert found["class"].numpy().tolist() == [1]
    assert Cifar10().transform_options() == {
        "classes": list(CLASSES),
        "image_size": [32, 32],
        "channels": 3,
        "column": "image",
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": ["a"]}, r"classes: found \['a'\]; allowed: two names or more, each once"),
        ({"classes": ["a", "a"]}, "classes: found"),
        ({"classes": ["a", False]}, r"classes: found \['a', False\]; .*; in quotes"),
        ({"classes": ["a", ""]}, "classes: found"),
        ({"classes": "ab"}, "classes: found 'ab'"),
        ({"image_size": 0}, r"image_size: found 0; allowed: a side in pixels, or \[height, width"),
        ({"image_size": [8]}, r"image_size: found \[8\]"),
        ({"image_size": [8, 8, 3]}, r"image_size: found \[8, 8, 3\]"),
        ({"image_size": 8.5}, "image_size: found 8.5"),
        ({"channels": 4}, "channels: found 4; allowed: 1 for grey, 3 for colour"),
        ({"network": "resnet"}, "network: found 'resnet'; allowed: residual, small"),
        ({"filters": []}, r"filters: found \[\]; allowed: numbers above 0, one a stage"),
        ({"filters": [8, 0]}, r"filters: found \[8, 0\]"),
        ({"blocks": 0}, "blocks: found 0"),
        ({"stem_stride": 3}, "stem_stride: found 3; allowed: 1 or 2"),
        ({"dropout": 1.0}, "dropout: found 1.0; allowed: 0 or more, below 1"),
    ],
    ids=str,
)
def test_options_when_one_is_not_allowed_then_names_it(options, message):
    with pytest.raises(ValueError, match=message):
        Image(**{"classes": ["a", "b"], **options})


def test_cifar10_when_made_as_configured_then_is_the_network_that_was_measured(repository):
    config = yaml.safe_load((repository / "configs" / "cifar10.yaml").read_text())
    model = Cifar10(**config["task"]["options"]).build_model(SPEC)
    assert model.count_params() == 1_230_282
    names = [weight.name for weight in model.weights]
    assert names[:2] == ["stem_conv/kernel:0", "stem_norm/gamma:0"]
    assert {name.split("/")[0] for name in names} == {
        "stem_conv",
        "stem_norm",
        *(f"stage{s}_block1_{n}_{k}" for s in (1, 2, 3) for n in (1, 2) for k in ("conv", "norm")),
        *(f"stage{s}_block1_shortcut_{k}" for s in (2, 3) for k in ("conv", "norm")),
        "class",
    }


@pytest.mark.parametrize(
    ("classes", "metrics"),
    [
        (CLASSES, {"accuracy", "top3", "top5"}),
        (("a", "b", "c", "d"), {"accuracy", "top3"}),
        (("a", "b", "c"), {"accuracy"}),
    ],
)
def test_metrics_when_classes_are_few_then_are_those_that_can_be_missed(classes, metrics):
    (head,) = Cifar10(classes=classes).heads
    assert set(head.metrics) == metrics


def test_serving_outputs_when_computed_then_have_the_shapes_and_dtypes_promised():
    logits = tf.constant([[0.0, 2.0, 1.0], [3.0, 0.0, 0.0]])
    served = Cifar10(classes=["a", "b", "c"]).serving_outputs({"class": logits})
    described = {name: (tuple(value.shape), value.dtype) for name, value in served.items()}
    assert described == {
        "class_id": ((2,), tf.int64),
        "label": ((2,), tf.string),
        "probabilities": ((2, 3), tf.float32),
    }
    assert served["class_id"].numpy().tolist() == [1, 0]
    assert served["label"].numpy().tolist() == [b"b", b"a"]
    np.testing.assert_allclose(served["probabilities"], tf.nn.softmax(logits))


def test_classification_when_the_classes_are_ones_own_then_names_them_with_their_probabilities():
    logits = tf.constant([[0.0, 2.0, 1.0], [3.0, 0.0, 0.0]])
    task = Cifar10(classes=["a", "b", "c"])
    found = task.classification({"class": logits})
    assert found.classes.numpy().tolist() == [[b"a", b"b", b"c"]] * 2
    np.testing.assert_allclose(found.scores, tf.nn.softmax(logits))
    assert task.regression({"class": logits}) is None
