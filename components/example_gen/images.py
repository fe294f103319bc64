"""Encoded pictures, checked by the decoder that Transform and the served model use."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from components.example_gen.source import DataError

_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")


def check_picture(content: bytes, where: str) -> None:
    """Decodes a picture to see that it can be.

    Raises:
        DataError: if it cannot, or is neither JPEG nor PNG.
    """
    allowed = "a JPEG or PNG picture"
    if not content.startswith(_SIGNATURES):
        raise DataError.at(where, f"a file that starts with {content[:8]!r}", allowed)
    try:
        tf.io.decode_image(content, channels=3, expand_animations=False)
    except tf.errors.InvalidArgumentError as error:
        reason = str(error.message).partition(" [Op:")[0].splitlines()[0]
        raise DataError.at(where, f"a picture that does not decode ({reason})", allowed) from None


def encode_png(images: np.ndarray) -> list[bytes]:
    """Returns pictures [n, height, width, channels], uint8, as PNG, which loses nothing."""
    return list(tf.io.encode_png(images).numpy())
