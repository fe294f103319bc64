"""Reading a configuration: overrides, hints, every mistake at once, and the resolved dump."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from pipeline.config_file import ConfigError, dump_config, load_config


def problems(path: Path | str, *overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_config(str(path), overrides)
    assert str(caught.value).splitlines() == [str(problem) for problem in caught.value.problems]
    return [str(problem) for problem in caught.value.problems]


@pytest.fixture
def path(write_config) -> Path:
    return write_config()


@pytest.mark.parametrize("name", ["digits", "breast_cancer", "cifar10", "gan"])
def test_load_when_the_configuration_is_a_ready_one_then_it_holds(name, repository) -> None:
    assert load_config(str(repository / "configs" / f"{name}.yaml")).name == name


def test_load_when_there_are_no_overrides_then_the_file_says_everything(path) -> None:
    config = load_config(str(path))

    assert (config.train.epochs, config.train.batch_size) == (30, 64)
    assert config.evaluate.metrics[0].at_least == 0.96
    assert config.train.strategy == "default", "left out: the default"


def test_set_when_nested_then_changes_that_key_alone(path) -> None:
    config = load_config(str(path), ["train.optimizer.learning_rate=0.5"])

    assert config.train.optimizer.learning_rate == 0.5
    assert config.train.optimizer.weight_decay == 0.02, "a neighbour stays as the file has it"


def test_set_when_the_section_is_not_in_the_file_then_makes_it(path) -> None:
    assert load_config(str(path), ["train.best.mode=max"]).train.best.mode == "max"


def test_set_when_a_list_index_then_changes_that_item(path) -> None:
    metrics = load_config(str(path), ["evaluate.metrics.1.at_least=0.5"]).evaluate.metrics

    assert [metric.at_least for metric in metrics] == [0.96, 0.5]
    assert load_config(str(path), ["evaluate.slices.0=image"]).evaluate.slices == ["image"]


@pytest.mark.parametrize("index", ["2", "-1", "first"])
def test_set_when_a_list_has_no_such_index_then_says_which_there_are(index, path) -> None:
    override = f"evaluate.metrics.{index}.head=class"

    assert problems(path, override) == [
        f"--set: {override}: found evaluate.metrics.{index}; allowed: an index from 0 to 1"
    ]


@pytest.mark.parametrize(
    ("override", "read"),
    [
        ("cache=false", lambda config: config.cache is False),
        ("data.limit=null", lambda config: config.data.limit is None),
        ("serve.model_name='2'", lambda config: config.serve.model_name == "2"),
        ("evaluate.slices=[digit, image]", lambda c: c.evaluate.slices == ["digit", "image"]),
        ("task.options={filters: 8}", lambda config: config.task.options == {"filters": 8}),
        ("task.options.note=a=b", lambda config: config.task.options["note"] == "a=b"),
        ("train.clip.at=2", lambda c: c.train.clip.at == 2),
    ],
)
def test_set_when_the_value_is_yaml_then_it_is_read_as_such(override, read, path) -> None:
    assert read(load_config(str(path), [override]))


def test_set_when_the_value_is_in_scientific_notation_then_it_is_a_number(path) -> None:
    config = load_config(str(path), ["train.optimizer.learning_rate=1e-3"])
    assert config.train.optimizer.learning_rate == 0.001


def test_set_when_a_key_comes_twice_then_the_last_one_counts(path) -> None:
    assert load_config(str(path), ["train.epochs=5", "train.epochs=7"]).train.epochs == 7


@pytest.mark.parametrize("override", ["train.epochs", "=5", "train..epochs=5", ".=1", ""])
def test_set_when_it_is_no_key_and_value_then_shows_how(override, path) -> None:
    assert problems(path, override) == [
        f"--set: {override}: found no key=value; allowed: for example train.epochs=5"
    ]


def test_set_when_the_value_is_broken_yaml_then_says_so(path) -> None:
    assert problems(path, "evaluate.slices=[digit") == [
        "--set: evaluate.slices: found [digit; allowed: a value in YAML"
    ]


@pytest.mark.parametrize(
    ("override", "key", "nearest", "neighbour"),
    [
        ("trian=1", "trian", "train", "evaluate"),
        pytest.param(
            *("trian.epochs=1", "trian", "train", "evaluate"),
        ),
        ("train.batchsize=1", "train.batchsize", "batch_size", "epochs"),
        (
            "train.optimizer.learning_rat=1",
            "train.optimizer.learning_rat",
            "learning_rate",
            "weight_decay",
        ),
        (
            "evaluate.metrics.0.at_last=1",
            "evaluate.metrics.0.at_last",
            "at_least",
            "max_regression",
        ),
    ],
)
def test_load_when_a_key_is_misspelt_then_names_the_nearest_of_its_section(
    override, key, nearest, neighbour, path
) -> None:
    (problem,) = problems(path, override)

    start = f"--set {override}: {key}: found a key that does not exist; allowed: "
    assert problem.startswith(f"{start}did you mean {nearest}? known keys: ")
    assert neighbour in problem.partition("known keys: ")[2].split(", ")


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ({"source": "excel"}, "data.source: found 'excel'; allowed: 'sklearn', 'image_folder', "),
        ({"source": 5}, "data.source: found 5; allowed: 'sklearn', 'image_folder', "),
        ({"source": "image_folder"}, "data.path: found nothing; allowed: a value: this key is "),
        (
            {"source": "image_folder", "pth": "a", "path": "a"},
            "data.pth: found a key that does not exist; allowed: did you mean path? known keys: "
            "splits, bad_rows, max_bad_fraction, path, label, source",
        ),
        (
            {"source": "cifar10_binary", "path": "a", "limit": 3},
            "data.limit: found a key that does not exist; allowed: did you mean splits? known ",
        ),
        (
            {"source": "image_folder", "path": "a", "splits": {"trian": 1}},
            "data.splits.trian: found a key that does not exist; allowed: did you mean train? "
            "known keys: by, column, train, eval, test, seed",
        ),
        (
            {"source": "image_folder", "path": "a", "splits": {"eval": 0}},
            "data.splits.eval: found 0; allowed: a number above 0",
        ),
        (5, "data: found 5; allowed: keys and values"),
    ],
    ids=str,
)
def test_load_when_a_section_of_a_source_is_wrong_then_names_the_key_as_in_the_file(
    data, problem, write_config
) -> None:
    path = write_config({"data": data})
    (found,) = problems(path)
    assert found.startswith(f"{path}: {problem}")


def test_set_when_it_misspells_a_key_of_a_source_then_names_the_set(write_config) -> None:
    path = write_config({"data": {"source": "image_folder", "path": "a"}})
    (found,) = problems(path, "data.splits.tset=1")
    assert found.startswith("--set data.splits.tset=1: data.splits.tset: found a key that does not")
    assert "did you mean test?" in found


def test_load_when_no_key_is_near_then_only_lists_them(path) -> None:
    (problem,) = problems(path, "qqqq=1")
    assert "did you mean" not in problem
    assert "allowed: known keys: name, root, cache, data, schema" in problem


def test_load_when_several_keys_are_wrong_then_lists_them_all(write_config) -> None:
    path = write_config({"train.epochs": 0, "name": "Two Words", "data.dataset": "cats"})

    assert problems(path, "serve.keep_versions=many") == [
        f"{path}: name: found 'Two Words'; allowed: a text that matches "
        "^[a-z0-9][a-z0-9_-]{0,62}$",
        f"{path}: data.dataset: found 'cats'; allowed: 'digits' or 'breast_cancer'",
        f"{path}: train.epochs: found 0; allowed: a number above 0",
        "--set serve.keep_versions=many: serve.keep_versions: found 'many'; allowed: an integer",
    ]


@pytest.mark.parametrize(
    ("override", "found", "allowed"),
    [
        ("cache=1", "1", "true or false"),
        ("train.epochs=2.0", "2.0", "an integer"),
        ("train.epochs=true", "True", "an integer"),
        ("train.seed=-1", "-1", "a number of at least 0"),
        ("train.seed=2147483648", "2147483648", "a number below 2147483648"),
        ("train.schedule.final_fraction=2", "2", "a number of at most 1.0"),
        ("train.optimizer.learning_rate=fast", "'fast'", "a number"),
        ("train=5", "5", "keys and values"),
        ("task.options=5", "5", "keys and values"),
        ("evaluate.slices=digit", "'digit'", "a list"),
        ("evaluate.metrics=[]", "[]", "a list of at least 1"),
        ("data.label=''", "''", "a text of at least 1 character"),
        ("root=null", "None", "a text"),
    ],
)
def test_load_when_a_value_is_wrong_then_says_what_is_allowed(
    override, found, allowed, path
) -> None:
    key = override.partition("=")[0]
    assert problems(path, override) == [
        f"--set {override}: {key}: found {found}; allowed: {allowed}"
    ]


def test_load_when_a_required_key_is_missing_then_says_that_nothing_was_found(tmp_path) -> None:
    (tmp_path / "run.yaml").write_text("name: a\n")
    found = problems(tmp_path / "run.yaml")

    assert [line.split(": ")[1] for line in found] == ["data", "task", "train", "evaluate"]
    assert all(
        line.endswith("found nothing; allowed: a value: this key is required") for line in found
    )


def test_load_when_a_value_is_long_then_shows_its_start(path) -> None:
    (problem,) = problems(path, f"train.epochs={'x' * 500}")
    assert f": found '{'x' * 76}...; allowed: " in problem


def test_load_when_the_file_is_missing_then_names_the_ready_ones(
    tmp_path, repository, monkeypatch
) -> None:
    monkeypatch.chdir(repository)
    (problem,) = problems("nowhere.yaml")
    assert problem == (
        "nowhere.yaml: (file): found no such file; allowed: a YAML file, such as "
        "configs/breast_cancer.yaml, configs/cifar10.yaml, configs/digits.yaml, configs/gan.yaml"
    )


@pytest.mark.parametrize("content", [b"name: \xff\n", None])
def test_load_when_the_file_cannot_be_read_then_says_why(content, tmp_path) -> None:
    path = tmp_path / "run.yaml"
    path.mkdir() if content is None else path.write_bytes(content)
    (problem,) = problems(path)
    assert problem.startswith(f"{path}: (file): found ")
    assert problem.endswith("; allowed: a YAML file in UTF-8")


@pytest.mark.parametrize("text", ["", "- a\n", "text\n"])
def test_load_when_the_file_holds_no_keys_then_names_them(text, tmp_path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(text)
    (problem,) = problems(path)
    assert problem.startswith(f"{path}: (file): found {yaml.safe_load(text)!r}; allowed: keys: ")


def test_dump_when_loaded_again_then_gives_the_same_configuration(path, tmp_path) -> None:
    config = load_config(str(path), ["train.epochs=3", "data.limit=500", "serve.root=null"])
    resolved = tmp_path / "resolved.yaml"
    resolved.write_text(dump_config(config))

    assert load_config(str(resolved)) == config
    values = yaml.safe_load(resolved.read_text())
    assert values["train"]["epochs"] == 3
    assert values["train"]["strategy"] == "default", "the defaults are written too"


@pytest.mark.parametrize("name", ["1e5", "08"])
def test_dump_when_a_text_looks_like_a_number_then_it_stays_a_text(name, path, tmp_path) -> None:
    config = load_config(str(path), [f"name='{name}'"])
    resolved = tmp_path / "resolved.yaml"
    resolved.write_text(dump_config(config))

    assert load_config(str(resolved)).name == name


def test_config_when_a_key_is_assigned_then_refuses(path) -> None:
    config = load_config(str(path))
    with pytest.raises(ValidationError, match="frozen"):
        config.name = "other"
    with pytest.raises(ValidationError, match="frozen"):
        config.train.epochs = 1


def test_load_when_a_key_is_given_twice_then_names_it_and_its_line(path) -> None:
    path.write_text(path.read_text() + "train: {}\n")
    lines = len(path.read_text().splitlines())
    with pytest.raises(ConfigError, match=rf"line {lines}, column 1: found the key 'train' twice"):
        load_config(str(path))
