"""What is wrong with a run's data, as the checks of the whole run say it."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.checks import check_inputs, check_task
from pipeline.config import RunConfig
from pipeline.config_file import ConfigError, Source, load_config


@pytest.fixture(scope="module")
def tensorflow() -> None:
    """Imports TensorFlow once, so that no single test is charged for it."""
    importlib.import_module("trainer_module.tasks.base")
    importlib.import_module("components.example_gen.examples")


def problems(check: Callable[[RunConfig, Source], Any], config: RunConfig) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        check(config, Source("run.yaml"))
    return [str(problem) for problem in caught.value.problems]


@pytest.fixture
def load_pictures(repository, tmp_path, monkeypatch) -> Callable[..., RunConfig]:
    """Loads the ready cifar10 configuration, to read `data/cifar10` under a folder of its own."""
    monkeypatch.chdir(tmp_path)
    config = str(repository / "configs" / "cifar10.yaml")
    return lambda *overrides: load_config(config, overrides)


def write_pictures(folder: Path, classes: list[str], count: int = 1, content: bytes = b"x") -> None:
    for name in classes:
        place = folder / "data" / "cifar10" / "train" / name
        place.mkdir(parents=True)
        for number in range(count):
            (place / f"{number}.png").write_bytes(content)


def test_inputs_when_there_are_no_pictures_then_says_where_to_get_them(load_pictures) -> None:
    (found,) = problems(check_inputs, load_pictures())
    assert found.startswith("run.yaml: data.path: found data/cifar10: no such file or folder; ")
    assert "train/<class>/<picture>" in found
    assert "https://www.cs.toronto.edu/~kriz/cifar.html" in found


def test_inputs_when_pictures_are_laid_out_wrong_then_names_the_place(
    load_pictures, tmp_path
) -> None:
    write_pictures(tmp_path, ["cat", "dog"])
    (tmp_path / "data/cifar10/train/ape").mkdir()
    assert problems(check_inputs, load_pictures("evaluate.slices=[digit]")) == [
        "run.yaml: evaluate.slices.0: found 'digit'; allowed: a column of the data: image, label",
        "run.yaml: data.path: found data/cifar10/train/ape: no pictures; "
        "allowed: a picture or more in each class",
    ]


def test_inputs_when_the_columns_cannot_be_told_then_only_says_why(load_pictures, tmp_path) -> None:
    npz = "data={source: npz, path: data.npz, label: z}"
    (found,) = problems(check_inputs, load_pictures(npz))
    assert found.startswith("run.yaml: data.path: found data.npz: no such file; allowed: a .npz")
    np.savez(tmp_path / "data.npz", x=np.arange(3), y=np.arange(3))
    assert problems(check_inputs, load_pictures(npz, "evaluate.slices=[y]")) == [
        "run.yaml: data.label: found 'z'; allowed: a column of the data: x, y"
    ]


@pytest.mark.usefixtures("tensorflow")
def test_task_when_there_are_many_pictures_then_none_is_read(load_pictures, tmp_path) -> None:
    """They do not even decode."""
    write_pictures(tmp_path, ["cat", "dog"], count=300)
    config = load_pictures("train.batch_size=8")
    check_task(config, Source("run.yaml"))


@pytest.mark.usefixtures("tensorflow")
def test_task_when_there_are_few_pictures_and_one_does_not_decode_then_names_it(
    load_pictures, tmp_path
) -> None:
    write_pictures(tmp_path, ["cat", "dog"])
    with pytest.raises(ConfigError) as error:
        check_task(load_pictures(), Source("run.yaml"))
    first, *rows = str(error.value).splitlines()
    assert "rows are bad; allowed: none, since data.bad_rows is fail" in first
    assert rows[0].startswith("  data/cifar10/train/cat/0.png: column 'image': found a file that ")


@pytest.mark.usefixtures("tensorflow")
def test_task_when_it_lacks_a_class_of_the_data_then_names_it(load_pictures, tmp_path) -> None:
    write_pictures(tmp_path, ["cat", "lynx"], count=300)
    (found,) = problems(check_task, load_pictures("train.batch_size=8"))
    assert found.startswith("run.yaml: task.options.classes: found ['airplane', ")
    assert found.endswith(" without lynx; allowed: the classes: ['cat', 'lynx']")


@pytest.mark.usefixtures("tensorflow")
def test_task_when_transform_numbers_the_classes_otherwise_then_refuses(
    load_pictures, tmp_path
) -> None:
    write_pictures(tmp_path, ["cat", "lynx"], count=300)
    sets = ["train.batch_size=8", "task.options.classes=[cat, lynx]"]
    assert problems(check_task, load_pictures(*sets, "transform.options.classes=[lynx, cat]")) == [
        "run.yaml: transform.options.classes: found ['lynx', 'cat']; "
        "allowed: those of task.options.classes: ['cat', 'lynx']"
    ]
    check_task(load_pictures(*sets), Source("run.yaml"))
