"""The `data` section: one kind a source, told apart by its key `source`."""

import pytest
from pydantic import TypeAdapter, ValidationError

from components.example_gen.cifar10_binary import Cifar10BinarySource
from components.example_gen.cifar10_python import Cifar10PythonSource
from components.example_gen.config import (
    Cifar10BinaryConfig,
    Cifar10PythonConfig,
    DataConfig,
    IdxConfig,
    ImageFolderConfig,
    NpzConfig,
    SklearnConfig,
)
from components.example_gen.idx import IdxSource
from components.example_gen.image_folder import ImageFolderSource
from components.example_gen.npz import NpzSource
from components.example_gen.sklearn_source import SklearnSource
from components.example_gen.sources import make_source

SECTIONS = TypeAdapter(DataConfig)


@pytest.mark.parametrize(
    ("section", "config", "source"),
    [
        ({"dataset": "digits", "label": "digit"}, SklearnConfig, SklearnSource),
        (
            {"source": "sklearn", "dataset": "digits", "label": "digit"},
            SklearnConfig,
            SklearnSource,
        ),
        ({"source": "image_folder", "path": "x"}, ImageFolderConfig, ImageFolderSource),
        ({"source": "cifar10_binary", "path": "x"}, Cifar10BinaryConfig, Cifar10BinarySource),
        ({"source": "cifar10_python", "path": "x"}, Cifar10PythonConfig, Cifar10PythonSource),
        ({"source": "idx", "path": "x", "classes": ["a", "b"]}, IdxConfig, IdxSource),
        ({"source": "npz", "path": "x", "label": "y"}, NpzConfig, NpzSource),
    ],
)
def test_data_config_when_it_names_a_source_then_is_of_its_kind(section, config, source):
    data = SECTIONS.validate_python(section)
    assert type(data) is config
    assert type(make_source(data).rows_source) is source
    assert SECTIONS.validate_python(data.model_dump(mode="json")) == data


def test_data_config_when_of_pictures_then_the_label_is_the_column_of_that_name():
    data = SECTIONS.validate_python({"source": "image_folder", "path": "x", "label": "label"})
    assert data.label == "label"


@pytest.mark.parametrize(
    "bad",
    [
        {"dataset": "iris"},
        {"limit": 0},
        {"label": ""},
        {"splits": {"train": 0}},
        {"source": "csv"},
        {"columns": []},
        {"path": "x"},
    ],
    ids=str,
)
def test_data_config_when_a_value_is_not_allowed_then_names_its_key(bad):
    with pytest.raises(ValidationError, match=next(iter(bad))):
        SECTIONS.validate_python({"dataset": "digits", "label": "digit", **bad})


@pytest.mark.parametrize(
    "bad", [{"path": ""}, {"label": "class"}, {"limit": 5}, {"splits": {"test": 0}}], ids=str
)
@pytest.mark.parametrize("source", ["image_folder", "cifar10_binary", "cifar10_python", "idx"])
def test_data_config_when_a_value_of_pictures_is_not_allowed_then_names_its_key(source, bad):
    with pytest.raises(ValidationError, match=next(iter(bad))):
        SECTIONS.validate_python({"source": source, "path": "x", **bad})


@pytest.mark.parametrize(
    "section",
    [
        {"source": "idx", "path": "x", "classes": ["alone"]},
        {"source": "idx", "path": "x", "classes": [0, 1]},
        {"source": "npz", "path": "x", "classes": ["a", "b"]},
    ],
    ids=str,
)
def test_data_config_when_classes_are_not_allowed_then_names_them(section):
    with pytest.raises(ValidationError, match="classes"):
        SECTIONS.validate_python(section)
