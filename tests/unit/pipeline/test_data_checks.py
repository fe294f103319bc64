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


RIDES = "fare,payment,tip\n" + "".join(f"{i}.5,card,{i % 2}\n" for i in range(40))


@pytest.fixture
def load_rides(write_config, tmp_path, monkeypatch) -> Callable[..., RunConfig]:
    """Loads a tabular configuration of a CSV of fare, payment and the label, tip."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rides.csv").write_text(RIDES)

    def load(features: str, *overrides: str) -> RunConfig:
        keys = (
            "data={source: csv, path: rides.csv, label: tip}",
            "task={name: tabular}",
            f"task.options={{problem: binary, classes: [0, 1], features: {features}}}",
            "evaluate.metrics=[{head: label, name: accuracy, at_least: 0.5}]",
            "evaluate.slices=[]",
        )
        return load_config(str(write_config()), [*keys, *overrides])

    return load


def write_schema(path: Path, **types: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = [f'feature {{ name: "{name}" type: {kind} }}' for name, kind in types.items()]
    path.write_text("\n".join(text))


NUMERIC_TEXT = (
    "run.yaml: task.options.features.payment.kind: found 'numeric' for a column of texts; "
    "allowed: categorical, text or date"
)


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize(
    ("features", "overrides", "expected"),
    [
        (
            "{fare: {kind: numeric}, tip: {kind: numeric}}",
            (),
            "run.yaml: task.options.features: found 'tip', the label; allowed: other columns, or "
            "the model would be told the answer",
        ),
        (
            "{fair: {kind: numeric}}",
            (),
            "run.yaml: task.options.features.fair: found no column of this name; "
            "allowed: fare, payment",
        ),
        ("{payment: {kind: numeric}}", ("data.columns={payment: text}",), NUMERIC_TEXT),
        ("{payment: {kind: numeric}}", ("schema.path=reviewed.pbtxt",), NUMERIC_TEXT),
    ],
)
def test_task_when_columns_are_known_not_to_fit_then_names_the_key(
    features, overrides, expected, load_rides, tmp_path
) -> None:
    write_schema(tmp_path / "reviewed.pbtxt", fare="FLOAT", payment="BYTES", tip="INT")
    assert problems(check_task, load_rides(features, *overrides)) == [expected]


@pytest.mark.usefixtures("tensorflow")
def test_task_when_the_type_of_a_column_is_not_known_yet_then_is_left_to_the_gate(
    load_rides,
) -> None:
    check_task(load_rides("{payment: {kind: numeric}}"), Source("run.yaml"))


@pytest.mark.usefixtures("tensorflow")
def test_task_when_a_column_that_earlier_data_had_is_gone_then_is_left_to_the_gate(
    load_rides,
) -> None:
    config = load_rides("{hour: {kind: numeric}}")
    (found,) = problems(check_task, config)
    assert "features.hour: found no column of this name" in found
    folder = config.pipeline_root / "artifacts" / "SchemaGen" / "schema" / "3"
    write_schema(folder / "schema.pbtxt", hour="INT")
    check_task(config, Source("run.yaml"))


@pytest.mark.usefixtures("tensorflow")
def test_task_when_the_data_have_no_such_column_of_pictures_then_names_the_key(
    load_pictures, tmp_path
) -> None:
    classes = ["cat", "dog"]
    write_pictures(tmp_path, classes, count=50)
    config = load_pictures(
        "task.name=image", "task.options={classes: [cat, dog], column: photo}",
        "train.batch_size=8",
    )  # fmt: skip
    found = [text for text in problems(check_task, config) if "task.options.column" in text]
    assert found == [
        "run.yaml: task.options.column: found 'photo', no such column; "
        "allowed: a column of encoded pictures, as may be: image"
    ]
