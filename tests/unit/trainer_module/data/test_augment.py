"""Augmentation by given numbers, against pictures that are known."""

from __future__ import annotations

import numpy as np
import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip

from trainer_module.config.input import AugmentConfig  # isort: skip
from trainer_module.data import ImageAugment, make_augment  # isort: skip

HORIZONTAL, VERTICAL, ROTATION, ZOOM, DOWN, RIGHT, CONTRAST = range(7)
MOST = 1.0 - 2.0**-24
ALL_ON = {"flip": "both", "rotation": 90, "zoom": 0.5, "translation": 0.5, "contrast": 0.5}
SPEC = {
    "image": tf.io.FixedLenFeature([4, 4, 3], tf.float32),
    "flat": tf.io.FixedLenFeature([16], tf.float32),
    "whole": tf.io.FixedLenFeature([4, 4, 3], tf.int64),
}


def _picture(height: int = 6, width: int = 6, channels: int = 2) -> np.ndarray:
    values = np.random.default_rng(1).uniform(0, 255, [1, height, width, channels])
    return np.round(values).astype(np.float32)


def _changed(images: np.ndarray, config: dict, numbers: dict[int, float]) -> np.ndarray:
    """Augments by the given numbers; the others change nothing."""
    uniforms = np.full([len(images), ImageAugment.draws], 0.5, np.float32)
    for column, number in numbers.items():
        uniforms[:, column] = number
    features = {"image": tf.constant(images), "other": tf.constant([7])}
    changed = ImageAugment(AugmentConfig(**config))(features, tf.constant(uniforms))
    assert changed["other"] is features["other"]
    assert changed["image"].dtype == images.dtype
    return changed["image"].numpy()


@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_image_augment_when_the_numbers_are_in_the_middle_then_changes_nothing(dtype):
    picture = _picture(5, 8).astype(dtype)
    np.testing.assert_array_equal(_changed(picture, ALL_ON, {}), picture)


def test_image_augment_when_nothing_is_on_then_changes_nothing():
    picture = _picture()
    numbers = dict.fromkeys(range(7), 0.0)
    np.testing.assert_array_equal(_changed(picture, {}, numbers), picture)


@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
@pytest.mark.parametrize("with_affine", [False, True], ids=["alone", "in the affine"])
def test_image_augment_when_it_flips_then_the_picture_is_mirrored_exactly(dtype, with_affine):
    picture = _picture(5, 8).astype(dtype)
    config = {"flip": "both", "rotation": 10 if with_affine else 0}
    np.testing.assert_array_equal(_changed(picture, config, {HORIZONTAL: 0.4}), picture[:, :, ::-1])
    np.testing.assert_array_equal(_changed(picture, config, {VERTICAL: 0.4}), picture[:, ::-1])
    both = _changed(picture, config, {HORIZONTAL: 0.0, VERTICAL: 0.0})
    np.testing.assert_array_equal(both, picture[:, ::-1, ::-1])


@pytest.mark.parametrize(("flip", "axis"), [("horizontal", 2), ("vertical", 1)])
def test_image_augment_when_one_flip_is_on_then_the_other_number_means_nothing(flip, axis):
    picture = _picture()
    flipped = _changed(picture, {"flip": flip}, {HORIZONTAL: 0.0, VERTICAL: 0.0})
    np.testing.assert_array_equal(flipped, np.flip(picture, axis))


@pytest.mark.parametrize(("number", "turns"), [(MOST, 1), (0.0, -1)])
def test_image_augment_when_it_rotates_by_90_degrees_then_a_square_is_turned(number, turns):
    picture = _picture()
    found = _changed(picture, {"rotation": 90}, {ROTATION: number})
    np.testing.assert_allclose(found, np.rot90(picture, turns, axes=(1, 2)), atol=1e-3)


def test_image_augment_when_it_moves_by_whole_pixels_then_the_edge_is_mirrored():
    picture = _picture(4, 8)
    right = _changed(picture, {"translation": 0.25}, {RIGHT: 1.0})
    np.testing.assert_allclose(right[:, :, 2:], picture[:, :, :-2], atol=1e-4)
    np.testing.assert_allclose(right[:, :, :2], picture[:, :, 1::-1], atol=1e-4)
    down = _changed(picture, {"translation": 0.25}, {DOWN: 1.0})
    np.testing.assert_allclose(down[:, 1:], picture[:, :-1], atol=1e-4)
    up = _changed(picture, {"translation": 0.25}, {DOWN: 0.0})
    np.testing.assert_allclose(up[:, :-1], picture[:, 1:], atol=1e-4)


def test_image_augment_when_it_zooms_in_then_pixels_lie_further_from_the_center():
    ramp = np.tile(np.arange(9, dtype=np.float32), (9, 1))[np.newaxis, ..., np.newaxis]
    found = _changed(ramp, {"zoom": 0.5}, {ZOOM: 1.0})
    np.testing.assert_allclose(found, 4 + (ramp - 4) / 1.5, atol=1e-5)


def test_image_augment_when_several_are_on_then_flips_before_it_turns_and_moves_last():
    picture = _picture(6, 6)
    config = {"flip": "horizontal", "rotation": 90, "translation": 1 / 6}
    found = _changed(picture, config, {HORIZONTAL: 0.0, ROTATION: MOST, RIGHT: 1.0})
    turned = np.rot90(picture[:, :, ::-1], axes=(1, 2))
    np.testing.assert_allclose(found[:, :, 1:], turned[:, :, :-1], atol=1e-3)


def test_image_augment_when_contrast_is_on_then_scales_the_distance_from_each_mean():
    picture = _picture()
    mean = picture.mean(axis=(1, 2), keepdims=True)
    for number, factor in ((0.0, 0.7), (0.75, 1.15), (1.0, 1.3)):
        found = _changed(picture, {"contrast": 0.3}, {CONTRAST: number})
        np.testing.assert_allclose(found, mean + (picture - mean) * factor, atol=1e-3)


def test_image_augment_when_pixels_are_bytes_then_rounds_and_clips():
    picture = np.array([0, 10, 101, 255], np.uint8).reshape(1, 2, 2, 1)
    found = _changed(picture, {"contrast": 0.5}, {CONTRAST: 1.0})
    expected = np.clip(np.rint(91.5 + (picture.astype(np.float64) - 91.5) * 1.5), 0, 255)
    np.testing.assert_array_equal(found, expected)
    assert (found.min(), found.max()) == (0, 255)


def test_image_augment_when_a_row_stands_elsewhere_in_the_batch_then_is_changed_alike():
    rng = np.random.default_rng(2)
    images = rng.uniform(0, 1, [67, 5, 5, 3]).astype(np.float32)
    uniforms = rng.uniform(0, 1, [67, ImageAugment.draws]).astype(np.float32)
    augment = ImageAugment(AugmentConfig(**ALL_ON))
    whole = augment({"image": tf.constant(images)}, tf.constant(uniforms))["image"].numpy()
    for first, last in ((0, 1), (1, 20), (3, 66), (66, 67)):
        part = augment(
            {"image": tf.constant(images[first:last])}, tf.constant(uniforms[first:last])
        )
        np.testing.assert_array_equal(part["image"], whole[first:last])


def test_make_augment_when_none_is_configured_then_is_none():
    assert make_augment(None, SPEC) is None
    assert make_augment(AugmentConfig(flip="both"), SPEC).draws == 7


@pytest.mark.parametrize(
    ("feature", "message"),
    [
        ("picture", r"augment.feature: found 'picture'; allowed: .*\(flat, image, whole\)"),
        ("flat", r"found 'flat' of shape \[16\] and type float32; allowed: \[height, width"),
        ("whole", "found 'whole' of shape .* and type int64; allowed: .* float32"),
    ],
)
def test_make_augment_when_the_feature_is_no_image_then_names_it(feature, message):
    with pytest.raises(ValueError, match=message):
        make_augment(AugmentConfig(feature=feature), SPEC)
