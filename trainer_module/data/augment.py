"""Random changes of images: flip, rotation, zoom, translation, contrast.

Flip, rotation, zoom and translation are composed into one affine transform, so that an image is
interpolated once. The numbers come from outside: the same numbers give the same images.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from trainer_module.config.input import AugmentConfig
from trainer_module.data.split import Augment, Tensors

DTYPES = (tf.float32, tf.uint8)

_HEIGHT, _WIDTH = 1, 2
_HORIZONTAL, _VERTICAL, _ROTATION, _ZOOM, _DOWN, _RIGHT, _CONTRAST = range(7)


class ImageAugment(Augment):
    """Changes one image feature, [b, h, w, c] float32 or uint8; uint8 is rounded and clipped.

    Every kind of change has its own column of the numbers, whether it is on or not: switching one
    on leaves the others as they were.
    """

    draws = 7

    def __init__(self, config: AugmentConfig) -> None:
        self._config = config

    def __call__(self, features: Tensors, uniforms: tf.Tensor) -> Tensors:
        name = self._config.feature
        return {**features, name: self._change(features[name], uniforms)}

    def _change(self, stored: tf.Tensor, uniforms: tf.Tensor) -> tf.Tensor:
        config = self._config
        images = stored
        interpolates = bool(config.rotation or config.zoom or config.translation)
        if config.flip and not interpolates:
            images = self._flip(images, uniforms)
        if not interpolates and not config.contrast:
            return images
        images = tf.cast(images, tf.float32)
        if interpolates:
            images = tf.raw_ops.ImageProjectiveTransformV3(
                images=images,
                transforms=self._transforms(images.shape, uniforms),
                output_shape=images.shape[1:3],
                fill_value=0.0,
                interpolation="BILINEAR",
                fill_mode="REFLECT",
            )
        if config.contrast:
            images = _contrast(images, _symmetric(uniforms[:, _CONTRAST], config.contrast))
        if stored.dtype == tf.uint8:
            images = tf.clip_by_value(tf.round(images), 0.0, 255.0)
        return tf.cast(images, stored.dtype)

    def _flipped(self, uniforms: tf.Tensor) -> dict[int, tf.Tensor]:
        """Returns which images are flipped, [b] bool, by axis of the batch."""
        flip, flipped = self._config.flip, {}
        if flip in ("horizontal", "both"):
            flipped[_WIDTH] = uniforms[:, _HORIZONTAL] < 0.5
        if flip in ("vertical", "both"):
            flipped[_HEIGHT] = uniforms[:, _VERTICAL] < 0.5
        return flipped

    def _flip(self, images: tf.Tensor, uniforms: tf.Tensor) -> tf.Tensor:
        for axis, flipped in self._flipped(uniforms).items():
            # Select copies whole rows; tf.where broadcasts the condition to every pixel.
            images = tf.raw_ops.Select(condition=flipped, x=tf.reverse(images, [axis]), y=images)
        return images

    def _transforms(self, shape: tf.TensorShape, uniforms: tf.Tensor) -> tf.Tensor:
        """Returns where each output pixel comes from, [b, 8], as ImageProjectiveTransform takes it.

        An image is flipped, then zoomed, then rotated, each about its center, then moved. The
        transform is the inverse: with q = (x, y) - center - shift of an output pixel, the input
        pixel is center + F R(-angle) q / zoom.
        """
        config, height, width = self._config, shape[1], shape[2]
        center_x, center_y = (width - 1) / 2, (height - 1) / 2
        flipped, never = self._flipped(uniforms), tf.zeros_like(uniforms[:, 0], tf.bool)
        sign_x = tf.where(flipped.get(_WIDTH, never), -1.0, 1.0)
        sign_y = tf.where(flipped.get(_HEIGHT, never), -1.0, 1.0)
        angle = _symmetric(uniforms[:, _ROTATION], math.radians(config.rotation))
        scale = 1.0 / (1.0 + _symmetric(uniforms[:, _ZOOM], config.zoom))
        right = _symmetric(uniforms[:, _RIGHT], config.translation * width)
        down = _symmetric(uniforms[:, _DOWN], config.translation * height)
        # In float32 a cosine differs in its last bit with the place of the row in the batch, where
        # the processor's vectors end; a row is to be changed alike wherever it stands.
        angle = tf.cast(angle, tf.float64)
        cos, sin = tf.cast(tf.cos(angle), tf.float32), tf.cast(tf.sin(angle), tf.float32)
        # y points down: a positive angle turns an image counter-clockwise as it is seen.
        xx, xy = sign_x * cos * scale, -sign_x * sin * scale
        yx, yy = sign_y * sin * scale, sign_y * cos * scale
        x = center_x - xx * (center_x + right) - xy * (center_y + down)
        y = center_y - yx * (center_x + right) - yy * (center_y + down)
        zero = tf.zeros_like(x)
        return tf.stack([xx, xy, x, yx, yy, y, zero, zero], axis=1)


def make_augment(
    config: AugmentConfig | None, feature_spec: Mapping[str, Any]
) -> ImageAugment | None:
    """Returns the augmentation that is configured, or None.

    Raises:
        ValueError: if its feature does not exist, or is not an image.
    """
    if config is None:
        return None
    if config.feature not in feature_spec:
        raise ValueError(
            f"augment.feature: found {config.feature!r}; "
            f"allowed: a transformed feature ({', '.join(sorted(feature_spec))})"
        )
    feature = feature_spec[config.feature]
    if len(feature.shape) != 3 or feature.dtype not in DTYPES:
        raise ValueError(
            f"augment.feature: found {config.feature!r} of shape {list(feature.shape)} and type "
            f"{tf.as_dtype(feature.dtype).name}; allowed: [height, width, channels], "
            + " or ".join(dtype.name for dtype in DTYPES)
        )
    return ImageAugment(config)


def _symmetric(uniform: tf.Tensor, bound: float) -> tf.Tensor:
    """Takes numbers in [0, 1) to [-bound, bound)."""
    return (2.0 * uniform - 1.0) * bound


def _contrast(images: tf.Tensor, change: tf.Tensor) -> tf.Tensor:
    """Moves pixels from the mean of their channel in their image: by 1 + change, [b], of it."""
    mean = tf.reduce_mean(images, axis=[1, 2], keepdims=True)
    factor = 1.0 + change[:, tf.newaxis, tf.newaxis, tf.newaxis]
    return images * factor + mean * (1.0 - factor)
