"""Rows that are pictures: files, or all files of folders."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from pipeline.config_file import ConfigError, Problem
from pipeline.predict.rows import Row, only_input
from serving.array_values import STRING
from serving.client.metadata import Signature, TensorSpec

SUFFIXES = (".jpeg", ".jpg", ".png")
_MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")
_ALLOWED = "a JPEG or PNG picture"
# Channels of a tensor -> Pillow's mode.
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


class ImageRows:
    """A row for each picture, of the one input of a signature.

    An input of strings gets the file as it is. One of numbers [height, width, channels], or
    [height, width] for grey ones, gets the pixels, 0 to 255, of a picture that has its size.

    Args:
        paths: of pictures, and of folders of pictures, at any depth.

    Raises:
        ConfigError: if there are none.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self._files = [file for path in paths for file in _pictures(Path(path))]
        self.total: int | None = len(self._files)

    def read(self, signature: Signature) -> Iterator[Row]:
        """Yields the pictures, in the order of their names in each folder."""
        name = only_input(signature, str(self._files[0]), "ROWS")
        spec = signature.inputs[name]
        for path in self._files:
            row = Row(str(path), "", {}, {"file": str(path)})
            content = _read(path)
            value = content if spec.dtype == STRING else _pixels(content, spec, row, name)
            yield Row(row.source, row.position, {name: value}, row.shown)


def is_image(path: Path) -> bool:
    """Returns whether a file is a picture by its name."""
    return path.suffix.lower() in SUFFIXES


def _pictures(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(file for file in path.rglob("*") if is_image(file) and file.is_file())
    if not found:
        allowed = f"a folder of {', '.join(SUFFIXES)}"
        raise ConfigError(Problem(str(path), "ROWS", "a folder without pictures", allowed))
    return found


def _read(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(Problem(str(path), "ROWS", str(error.strerror), _ALLOWED)) from error
    if not content.startswith(_MAGIC):
        found = f"a file that starts with {content[:8]!r}"
        raise ConfigError(Problem(str(path), "ROWS", found, _ALLOWED))
    return content


def _pixels(content: bytes, spec: TensorSpec, row: Row, name: str) -> np.ndarray:
    """Returns a picture's pixels in the shape of an input.

    Raises:
        ConfigError: if it does not decode, or has another size.
    """
    from PIL import Image, UnidentifiedImageError

    if spec.shape is None or len(spec.shape) not in (3, 4):
        raise row.refused(name, "a picture", f"for this input: {spec}")
    height, width, *channels = spec.shape[1:]
    mode = _MODES.get((channels or [1])[0] or 3)
    if mode is None:
        raise row.refused(name, "a picture", f"for this input: {spec}")
    try:
        with Image.open(io.BytesIO(content)) as image:
            pixels = np.asarray(image.convert(mode))
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError, SyntaxError) as error:
        raise row.refused(name, f"a picture that does not decode ({error})", _ALLOWED) from error
    if (height or pixels.shape[0], width or pixels.shape[1]) != pixels.shape[:2]:
        raise row.refused(
            name,
            f"a picture {pixels.shape[0]} high and {pixels.shape[1]} wide",
            f"{height or 'any'} high and {width or 'any'} wide, as the model takes them",
        )
    return pixels.reshape(*pixels.shape[:2], -1) if channels else pixels
