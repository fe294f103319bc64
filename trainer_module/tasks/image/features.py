"""What Transform makes of a picture: its pixels at one size, and the number of its class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from trainer_module.tasks.columns import ColumnTypes, types_of

IMAGE = "image"
CLASS = "class"

_GREY = (0.299, 0.587, 0.114)
"""How bright red, green and blue are, as in ITU-R BT.601, which JPEG goes by."""


def preprocessing_fn(
    inputs: dict[str, tf.Tensor],
    label: str,
    classes: Sequence[str],
    image_size: int | Sequence[int] = 32,
    channels: int = 3,
    column: str = "image",
) -> dict[str, tf.Tensor]:
    """Returns the features of a picture.

    Pixels stay whole numbers: the model scales them. tf.Example holds bytes only as strings, which
    neither the augmentation of a batch nor a device other than the CPU takes; of its numbers,
    float32 parses ten times as fast as int64, at half the memory.

    Args:
        inputs: the picture, [b, 1] string, a JPEG or PNG of any size; and the label, [b, 1], the
            name of the class as a string, or its number in `classes` as an integer.
        classes: names in the order of their numbers.
        image_size: height and width in pixels, or the one side of a square; pictures of another
            size are resized to it.
        channels: 1 for grey, 3 for colour; pictures of the other kind are converted.
        column: the one of the picture.

    Returns:
        image: [b, height, width, channels] float32, whole numbers from 0 to 255.
        class: [b] int64; -1 where there is no label, as in a request.

    Raises:
        ValueError: if `column` is none of encoded pictures, or the label is a fraction.
        InvalidArgumentError: when a picture does not decode, or a label is none of `classes`.
    """
    problems = column_problems(types_of(inputs), label, classes, column=column)
    if problems:
        raise ValueError("\n".join(problems))
    size = sides(image_size)
    encoded = tf.reshape(inputs[column], [-1])
    image = tf.map_fn(
        lambda one: _pixels(one, size, channels), encoded, fn_output_signature=tf.float32
    )
    return {
        IMAGE: tf.ensure_shape(image, [None, *size, channels]),
        CLASS: _class_number(tf.reshape(inputs[label], [-1]), classes),
    }


def columns_read(label: str, column: str = "image", **options: Any) -> set[str]:
    """Returns the column of the pictures, and the label; see `Task.columns_read`."""
    return {label, column}


def column_problems(
    columns: ColumnTypes,
    label: str,
    classes: Sequence[str],
    image_size: int | Sequence[int] = 32,
    channels: int = 3,
    column: str = "image",
) -> list[str]:
    """Returns what does not fit, as `key: found X; allowed: Y`; see `Task.column_problems`."""
    problems = []
    found = ""
    if column == label:
        found = ", the label"
    elif columns.get(column) in ("int", "float"):
        found = ", a column of numbers"
    if column not in columns or found:
        possible = [name for name, kind in columns.items() if kind in (None, "text")]
        problems.append(
            f"task.options.column: found {column!r}{found or ', no such column'}; allowed: a "
            f"column of encoded pictures, as may be: {', '.join(sorted({*possible} - {label}))}"
        )
    if columns.get(label) == "float":
        problems.append(
            f"data.label: found {label!r}, a column of fractions; allowed: names of classes, or "
            "their numbers as integers"
        )
    return problems


def sides(image_size: Any) -> tuple[int, int]:
    """Returns height and width of a size that is both, or the side of a square.

    Raises:
        ValueError: if it is neither, or not above 0.
    """
    both = image_size if isinstance(image_size, (list, tuple)) else (image_size, image_size)
    if len(both) != 2 or not all(type(side) is int and side > 0 for side in both):
        allowed = "a side in pixels, or [height, width]"
        raise ValueError(f"image_size: found {image_size!r}; allowed: {allowed}")
    return both[0], both[1]


def _pixels(encoded: tf.Tensor, size: Sequence[int], channels: int) -> tf.Tensor:
    """Decodes and resizes one picture, a string scalar, to [*size, channels] float32."""
    if channels == 1:
        image = _grey(tf.io.decode_image(encoded, expand_animations=False))
    else:
        image = tf.io.decode_image(encoded, channels=channels, expand_animations=False)
    image.set_shape([None, None, channels])
    # Antialiased, since most pictures become smaller; at its own size a picture stays as it is.
    resized = tf.image.resize(image, size, antialias=True)
    return tf.round(tf.clip_by_value(resized, 0.0, 255.0))


def _grey(image: tf.Tensor) -> tf.Tensor:
    """Returns a decoded picture [h, w, 1 to 4] as [h, w, 1] float32; what is grey stays as it is.

    The decoder itself makes no grey picture of a JPEG in the colours of printing.
    """
    values = tf.cast(image, tf.float32)
    return tf.cond(
        tf.shape(image)[-1] < 3,
        lambda: values[..., :1],
        lambda: tf.tensordot(values[..., :3], tf.constant(_GREY), 1)[..., tf.newaxis],
    )


def _class_number(labels: tf.Tensor, classes: Sequence[str]) -> tf.Tensor:
    """Returns the position of each label [b] in `classes`, [b] int64, -1 for none.

    Args:
        labels: names or integers.
    """
    if labels.dtype.is_integer:
        numbers = tf.cast(labels, tf.int64)
        unknown = tf.boolean_mask(labels, (numbers < -1) | (numbers >= len(classes)))
        message = f"label: found a number that is none of 0 to {len(classes) - 1}"
    else:
        known = tf.equal(labels[:, tf.newaxis], tf.constant(list(classes)))
        found = tf.reduce_any(known, axis=1)
        unknown = tf.boolean_mask(labels, ~(found | tf.equal(labels, "")))
        message = f"label: found a class that is none of {', '.join(classes)}"
        number = tf.argmax(tf.cast(known, tf.int32), axis=1)
        numbers = tf.where(found, number, tf.constant(-1, tf.int64))
    check = tf.debugging.Assert(tf.equal(tf.size(unknown), 0), [message, unknown])
    with tf.control_dependencies([check]):
        return tf.identity(numbers)
