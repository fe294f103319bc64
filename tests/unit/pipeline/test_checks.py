"""What is wrong with a run that its configuration alone does not show."""

from __future__ import annotations

import importlib
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.example_gen.sources import make_source
from pipeline.checks import check_inputs, check_task
from pipeline.config import RunConfig
from pipeline.config_file import ConfigError, Source, load_config


@pytest.fixture
def load(write_config, tmp_path, monkeypatch) -> Callable[..., RunConfig]:
    """Loads the ready digits configuration with overrides, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return lambda *overrides: load_config(str(write_config()), overrides)


@pytest.fixture
def module(tmp_path, monkeypatch) -> Callable[[str], str]:
    """Writes a module under a name of its own, on the Python path; returns the name."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(source: str) -> str:
        name = f"own_{uuid.uuid4().hex}"
        (tmp_path / f"{name}.py").write_text(source)
        importlib.invalidate_caches()
        return name

    return write


def problems(check: Callable[[RunConfig, str], Any], config: RunConfig) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        check(config, Source("run.yaml"))
    return [str(problem) for problem in caught.value.problems]


def test_inputs_when_all_is_well_then_pass_and_leave_nothing(load, tmp_path, tree) -> None:
    config = load()
    before = tree(tmp_path)

    check_inputs(config, Source("run.yaml"))

    assert tree(tmp_path) == before


def test_inputs_when_several_are_bad_then_names_each(load) -> None:
    config = load("data.label=cat", "evaluate.slices=[digit, colour]", "task.name=cats")

    assert problems(check_inputs, config) == [
        "run.yaml: data.label: found 'cat'; allowed: a column of the data: image, digit",
        "run.yaml: evaluate.slices.1: found 'colour'; allowed: a column of the data: image, digit",
        "run.yaml: task.name: found 'cats'; "
        "allowed: digits, breast_cancer, gan, image, cifar10, tabular, "
        "or the dotted path of a Task class",
    ]


def test_inputs_when_only_the_serving_root_cannot_be_made_then_names_that(load, tmp_path) -> None:
    (tmp_path / "file").touch()

    assert problems(check_inputs, load("serve.root=file/models")) == [
        f"run.yaml: serve.root: found {tmp_path}/file, which is no folder; "
        "allowed: a folder that can be written"
    ]


@pytest.mark.parametrize(
    "source",
    [
        "class Own: ...",
        "try:\n    class Own: ...\nexcept ImportError: ...",
        "from json import JSONDecoder as Own",
        "from json import *",
        "Own = object",
        "def Own(): ...",
    ],
)
def test_inputs_when_a_module_may_hold_the_task_then_pass_without_running_it(
    source, load, module
) -> None:
    name = module(source + "\nraise RuntimeError('was run')\n")
    check_inputs(load(f"task.name={name}.Own"), Source("run.yaml"))


def test_inputs_when_a_task_is_in_a_package_then_the_package_is_not_run(
    load, tmp_path, monkeypatch
) -> None:
    name = f"own_{uuid.uuid4().hex}"
    (tmp_path / name / "tasks").mkdir(parents=True)
    for package in (name, f"{name}/tasks"):
        (tmp_path / package / "__init__.py").write_text("raise RuntimeError('was run')\n")
    (tmp_path / name / "tasks" / "cats.py").write_text("class Cats: ...\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    check_inputs(load(f"task.name={name}.tasks.cats.Cats"), Source("run.yaml"))
    (found,) = problems(check_inputs, load(f"task.name={name}.tasks.dogs.Dogs"))
    assert f"no module '{name}.tasks.dogs' on the Python path" in found


@pytest.fixture(scope="module")
def tensorflow() -> None:
    """Imports TensorFlow and TFX once, so that no single test is charged for it."""
    importlib.import_module("trainer_module.tasks.base")
    importlib.import_module("components.example_gen.examples")


@pytest.mark.usefixtures("tensorflow")
def test_task_when_all_is_well_then_is_made_with_its_options(load) -> None:
    task = check_task(load("task.options.attribute_weight=0.25"), Source("run.yaml"))

    assert [(head.name, head.weight) for head in task.heads] == [("class", 1), ("attribute", 0.25)]


@pytest.mark.usefixtures("tensorflow")
def test_task_when_an_option_is_unknown_then_names_it(load) -> None:
    (found,) = problems(check_task, load("task.options.depth=3"))

    assert found.startswith("run.yaml: task: found trainer_module.tasks.digits.Digits: ")
    assert "unexpected keyword argument 'depth'; allowed: a Task that imports" in found


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            "{problem: binary, classes: [0], features: {fare: {kind: numeric, scale: logg}}}",
            [
                "task.options.features.fare.scale: found 'logg'; "
                "allowed: 'z_score', 'log', 'min_max' or 'none'"
            ],
        ),
        (
            "{problem: binary, classes: [0], features: {fare: {kind: numeric}}}",
            [
                "task.options.classes: found [0]; allowed: two classes, the second of which is "
                "the positive one, with problem 'binary'"
            ],
        ),
        (
            "{problem: regression, features: {a b: {kind: number}, c: {top_k: 5}, "
            "d: {kind: categorical, topk: 5}, e: {kind: numeric, clip: [0, x]}}}",
            [
                "task.options.features.a b.kind: found 'number'; "
                "allowed: 'numeric', 'categorical', 'text', 'date'",
                "task.options.features.c.kind: found nothing; allowed: a value: this key is "
                "required",
                "task.options.features.d.topk: found a key that does not exist; allowed: did you "
                "mean top_k? known keys: embedding, top_k, min_count, oov_buckets, kind, "
                "hash_buckets, max_values",
                "task.options.features.e.clip.1: found 'x'; allowed: a number",
            ],
        ),
        (
            "{problem: regression, hiden: [5], features: {a: {kind: categorical}}, "
            "crosses: [{of: [a, b]}]}",
            [
                "task.options.hiden: found a key that does not exist; allowed: did you mean "
                "hidden? known keys: problem, classes, hidden, dropout, features, crosses"
            ],
        ),
        (
            "{problem: regression, features: {a: {kind: categorical}}, crosses: [{of: [a, b]}]}",
            ["task.options.crosses.0.of: found 'b'; allowed: each once, of: a"],
        ),
    ],
)
@pytest.mark.usefixtures("tensorflow")
def test_task_when_it_checks_its_options_then_each_mistake_is_told_by_its_key(
    options, expected, load
) -> None:
    found = problems(check_task, load("task.name=tabular", f"task.options={options}"))

    assert found == [f"run.yaml: {text}" for text in expected]


@pytest.mark.parametrize(
    ("source", "cause"),
    [
        ("import no_such_dependency\nclass Own: ...", "No module named 'no_such_dependency'"),
        ("class Own: ...", "not a subclass of Task"),
        ("def Own(): ...", "not a subclass of Task"),
        ("if False:\n    class Own: ...", "has no 'Own'"),
        (
            "from trainer_module.tasks.base import Task\n"
            "class Own(Task):\n    def __init__(self, **options): ...",
            "abstract",
        ),
        ("raise ValueError('no cats today')\nclass Own: ...", "no cats today"),
        ("{}['cats']\nclass Own: ...", "KeyError: 'cats'"),
    ],
)
@pytest.mark.usefixtures("tensorflow")
def test_task_when_it_cannot_be_made_then_gives_the_cause(source, cause, load, module) -> None:
    name = module(source)

    (found,) = problems(check_task, load(f"task.name={name}.Own"))

    assert found.startswith(f"run.yaml: task: found {name}.Own: ")
    assert cause in found
    assert found.endswith("; allowed: a Task that imports and takes task.options")


@pytest.mark.usefixtures("tensorflow")
def test_task_when_names_of_its_parts_are_wrong_then_lists_them_all(load) -> None:
    config = load("evaluate.metrics.1.head=style", "train.best.metric=class/f1")

    assert problems(check_task, config) == [
        "run.yaml: evaluate.metrics.1.head: found 'style'; allowed: class, attribute",
        "run.yaml: train.best.metric: found 'class/f1'; "
        "allowed: attribute/mae, class/accuracy, loss, loss/attribute, loss/class",
    ]


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        (["train.losses={class: hinge}"], "train.losses.class"),
        (["train.metrics={style: [f1]}"], "train.metrics"),
        (["train.plateau={metric: class/f1}"], "train.plateau.metric"),
        (["train.callbacks.early_stop={metric: x}"], "train.callbacks.early_stop.metric"),
        (["train.callbacks.own=[{name: no.Where}]"], "train.callbacks.own.0.name"),
        (
            ["train.gradient_transforms=[{name: trainer_module.gradients.Noise, options: {a: 1}}]"],
            "train.gradient_transforms.0.options",
        ),
    ],
)
@pytest.mark.usefixtures("tensorflow")
def test_task_when_the_training_names_what_is_not_there_then_is_refused_before_the_run(
    changes, key, load
) -> None:
    (problem,) = problems(check_task, load(*changes))
    assert problem.startswith(f"run.yaml: {key}: found ")
    assert "; allowed: " in problem


@pytest.mark.parametrize("metric", ["loss", "loss/attribute", "class/accuracy"])
@pytest.mark.usefixtures("tensorflow")
def test_task_when_the_best_epoch_goes_by_a_known_metric_then_pass(metric, load) -> None:
    check_task(load(f"train.best.metric={metric}"), Source("run.yaml"))


@pytest.mark.usefixtures("tensorflow")
def test_task_when_a_split_has_no_rows_then_names_the_split(load) -> None:
    assert (
        "run.yaml: data: found 0 of 2 rows in split 'eval'; allowed: a row or more in each "
        in (problems(check_task, load("data.limit=2", "train.batch_size=1"))[0])
    )


@pytest.mark.usefixtures("tensorflow")
def test_task_when_a_batch_is_more_than_the_train_split_then_says_how_many_rows(load) -> None:
    from components.example_gen.examples import intake_of

    config = load("data.limit=60")
    rows = intake_of(make_source(config.data)).splits["train"]
    assert 0 < rows < 60

    assert problems(check_task, config) == [
        f"run.yaml: train.batch_size: found 64; allowed: at most the {rows} rows of the train split"
    ]
    check_task(load("data.limit=60", f"train.batch_size={rows}"), Source("run.yaml"))


def test_inputs_when_refused_then_the_folder_is_as_it_was(load, tmp_path: Path, tree) -> None:
    config = load("data.label=cat", "root=deep/er")
    before = tree(tmp_path)

    problems(check_inputs, config)

    assert tree(tmp_path) == before


def test_inputs_when_the_root_cannot_be_made_then_only_the_root_is_named(load) -> None:
    config = load("root=/proc/tapeline")
    with pytest.raises(ConfigError) as error:
        check_inputs(config, Source("run.yaml"))
    assert [str(problem) for problem in error.value.problems] == [
        "run.yaml: root: found /proc: No such file or directory; "
        "allowed: a folder that can be written"
    ]


OWN_OPTIONS = """
from trainer_module.tasks.digits import Digits

def preprocess(inputs, label, bins, edges): ...

class Own(Digits):
    preprocessing_fn = staticmethod(preprocess)

    def transform_options(self):
        return {options}
"""


@pytest.mark.parametrize(
    ("options", "overrides", "message"),
    [
        ("{'bins': 3, 'edges': [0.5]}", (), None),
        ("{'bins': 3}", ("transform.options={edges: []}",), None),
        (
            "{'bins': 3}",
            (),
            "transform.options: found {'bins': 3}: missing a required argument: 'edges'; allowed: "
            "preprocessing_fn takes (inputs, label, bins, edges)",
        ),
        (
            "{'bins': 3, 'edges': {1}}",
            (),
            "task: found transform_options() = {'bins': 3, 'edges': {1}}: Object of type set is "
            "not JSON serializable; allowed: what JSON holds",
        ),
        ("{}['cats']", (), "KeyError: 'cats'"),
    ],
)
@pytest.mark.usefixtures("tensorflow")
def test_task_when_it_has_options_for_transform_then_they_are_checked_with_those_of_the_run(
    options, overrides, message, load, module
) -> None:
    name = module(OWN_OPTIONS.replace("{options}", options))
    config = load(f"task.name={name}.Own", *overrides)
    if message is None:
        check_task(config, Source("run.yaml"))
    else:
        (found,) = problems(check_task, config)
        assert message in found


def test_temporary_folder_when_there_is_none_then_names_the_variable(load, monkeypatch) -> None:
    def none() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")

    config = load()
    monkeypatch.setattr("tempfile.gettempdir", none)
    (problem,) = problems(check_inputs, config)

    assert "(TMPDIR): found " in problem
    assert "['/tmp']; allowed: a folder with room" in problem
