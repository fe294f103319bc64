"""Encoded pictures, checked by the decoder that Transform and the served model use.

JPEG and PNG alone: of what else TensorFlow decodes, it turns neither BMP nor GIF into grey, nor a
grey BMP into colour, and of an animated GIF a classifier would see one frame.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

ALLOWED = "a JPEG or PNG picture"

_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")


def picture_fault(content: bytes) -> str | None:
    """Decodes a picture; returns what was found instead of one that can be, or None."""
    if not content:
        return "an empty file"
    if not content.startswith(_SIGNATURES):
        return f"a file that starts with {content[:8]!r}"
    try:
        tf.io.decode_image(content, channels=3, expand_animations=False)
    except tf.errors.InvalidArgumentError as error:
        reason = str(error.message).partition(" [Op:")[0].splitlines()[0]
        return f"a picture that does not decode ({reason})"
    return None


def encode_png(images: np.ndarray) -> list[bytes]:
    """Returns pictures [n, height, width, channels], uint8, as PNG, which loses nothing."""
    return list(tf.io.encode_png(images).numpy())
