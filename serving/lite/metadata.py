"""TF Lite's metadata: what a model's tensors mean, in the file itself, by the field's library.

The library is tflite-support. What of it writes metadata needs libusb, of all things, which pip's
libusb-package brings to a machine that lacks it.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from serving.lite.normalization import Normalization

LABELS_FILE = "labels.txt"
"""Inside the TF Lite file, which is a ZIP archive too: one class a line."""

_WRITERS = "tensorflow_lite_support.metadata.python.metadata_writers"
_SCHEMA = "tensorflow_lite_support.metadata.metadata_schema_py_generated"
_ADVICE = "apt install libusb-1.0-0, or pip install libusb-package"


class MetadataUnavailable(ImportError):
    """The library does not load here; the message says why, and how to get it."""


@dataclass(frozen=True)
class Tensor:
    """What is written about an input or output.

    Attributes:
        name: in the signature.
        tensor_name: in the file, by which the library finds it.
        description: in words.
        minimum, maximum: of the values seen, in the tensor's units before any quantization.
        labels: names of the classes that it is about.
        is_label: whether it holds the number of a class, rather than a value for each class.
        is_image: whether a row of it is [height, width, channels].
        normalization: of such an input, how it is made of the raw values.
    """

    name: str
    tensor_name: str
    description: str
    minimum: float | None = None
    maximum: float | None = None
    labels: list[str] = field(default_factory=list)
    is_label: bool = False
    is_image: bool = False
    normalization: Normalization | None = None


@dataclass(frozen=True)
class Description:
    """What is written about a model."""

    name: str
    version: str
    description: str
    inputs: list[Tensor]
    outputs: list[Tensor]


def with_metadata(content: bytes, description: Description) -> bytes:
    """Returns a TF Lite file's content with metadata.

    Raises:
        MetadataUnavailable: if the library does not load.
    """
    info, writer = _library("metadata_info"), _library("metadata_writer")
    names = {tuple(tensor.labels) for tensor in description.outputs if tensor.labels}
    with tempfile.TemporaryDirectory() as folder:
        files = {}
        for number, labels in enumerate(sorted(names)):
            path = Path(folder, LABELS_FILE if number == 0 else f"labels{number + 1}.txt")
            path.write_text("\n".join(labels), encoding="utf-8")
            files[labels] = str(path)
        made = writer.MetadataWriter.create_from_metadata_info(
            bytearray(content),
            info.GeneralMd(description.name, description.version, description.description),
            [_tensor_md(info, tensor, files) for tensor in description.inputs],
            [_tensor_md(info, tensor, files) for tensor in description.outputs],
            list(files.values()),
        )
        return bytes(made.populate())


def read_metadata(content: bytes) -> str:
    """Returns a TF Lite file's metadata as the library shows them, JSON.

    Raises:
        MetadataUnavailable: if the library does not load.
        ValueError: if the file has none.
    """
    module = _imported("tensorflow_lite_support.metadata.python.metadata")
    return module.MetadataDisplayer.with_model_buffer(content).get_metadata_json()


def _tensor_md(info: Any, tensor: Tensor, files: Mapping[tuple[str, ...], str]) -> Any:
    made = info.TensorMd()
    if tensor.is_image:
        scaling = tensor.normalization
        made = info.InputImageTensorMd(
            norm_mean=scaling.mean if scaling else None, norm_std=scaling.std if scaling else None
        )
    if tensor.labels:
        labels = info.LabelFileMd(files[tuple(tensor.labels)])
        if tensor.is_label:
            kinds = _imported(_SCHEMA).AssociatedFileType
            labels.file_type = kinds.TENSOR_VALUE_LABELS
        made.associated_files = [labels]
    made.name, made.description = tensor.name, tensor.description
    made.tensor_name = tensor.tensor_name
    made.min_values = None if tensor.minimum is None else [tensor.minimum]
    made.max_values = None if tensor.maximum is None else [tensor.maximum]
    return made


def _library(writer_module: str) -> Any:
    return _imported(f"{_WRITERS}.{writer_module}")


def _imported(module: str) -> Any:
    """Imports a module of tflite-support by its own path.

    The package's front door, `tflite_support`, loads the Task Library too, whose types clash with
    those of TensorFlow in one process.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        if not _load_libusb():
            raise MetadataUnavailable(f"{error}; {_ADVICE}") from error
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MetadataUnavailable(f"{error}; {_ADVICE}") from error


def _load_libusb() -> bool:
    """Loads pip's libusb, if it is installed: the loader then takes it for the system's."""
    found = importlib.util.find_spec("libusb_package")
    for folder in (found.submodule_search_locations or []) if found else []:
        for library in Path(folder).glob("libusb-1.0.so*"):
            ctypes.CDLL(str(library))
            return True
    return False
