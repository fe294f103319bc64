"""`tapeline init`: a configuration that runs, from each kind of data, and what it refuses."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from pipeline.checks import check_inputs
from pipeline.cli import app
from pipeline.config_file import ConfigError, Source, load_config
from pipeline.profile import table
from trainer_module.tasks import make_task

ROWS = 200


@pytest.fixture
def workdir(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def init(workdir):
    """Runs `tapeline init`; returns what it did, and the configuration that it wrote."""

    def call(*arguments):
        done = CliRunner().invoke(
            app, ["init", *arguments, "-o", "run.yaml"], catch_exceptions=False
        )
        return done, load_config("run.yaml")

    return call


def frame():
    draw = np.random.default_rng(0)
    size = draw.normal(size=ROWS)
    return pd.DataFrame(
        {
            "size": size,
            "kind": draw.choice(["a", "b", "c"], ROWS),
            "key": np.arange(ROWS) + 7,
            "same": 1,
            "y": (size + draw.normal(size=ROWS) > 0).astype(int),
            "code": np.where(size > 0.5, "high", "low"),
        }
    ).assign(code=lambda found: found["y"].map({0: "no", 1: "yes"}))


WRITERS = {
    "rows.csv": lambda data, path: data.to_csv(path, index=False),
    "rows.tsv": lambda data, path: data.to_csv(path, index=False, sep="\t"),
    "rows.csv.gz": lambda data, path: data.to_csv(path, index=False),
    "rows.parquet": lambda data, path: data.to_parquet(path),
}


@pytest.mark.parametrize("name", WRITERS)
def test_init_when_data_are_a_table_then_the_configuration_loads_and_its_task_can_be_made(
    init, workdir, name
):
    WRITERS[name](frame(), workdir / name)
    done, config = init("--data", name, "--label", "y")
    assert done.exit_code == 0
    assert config.name == "run"
    check_inputs(config, Source("run.yaml"))
    task = make_task(config.task)
    assert task.label_values == [0, 1]
    features = config.task.options["features"]
    assert sorted(features) == ["kind", "size"]
    for name, reason in (("key", "identifier"), ("same", "the same value"), ("code", "alone")):
        (line,) = [line for line in done.stderr.splitlines() if line.startswith(f"  {name}: ")]
        assert reason in line


@pytest.mark.parametrize(
    ("label", "problem", "classes"),
    [
        ("kind", "multiclass", ["a", "b", "c"]),
        ("size", "regression", []),
        ("size > 0", "binary", [0, 1]),
    ],
)  # fmt: skip
def test_init_when_the_label_is_of_a_kind_then_so_is_the_problem(
    init, workdir, label, problem, classes
):
    WRITERS["rows.csv"](frame(), workdir / "rows.csv")
    _, config = init("--data", "rows.csv", "--label", label)
    assert config.task.options["problem"] == problem
    assert config.task.options.get("classes", []) == classes
    assert config.evaluate.metrics[0].has_value_threshold


def test_init_when_names_need_quotes_then_the_yaml_has_them(init, workdir):
    names = {"size": "größe: (cm)", "kind": "yes", "key": "- #1"}
    WRITERS["rows.csv"](frame().rename(columns=names), workdir / "rows.csv")
    _, config = init("--data", "rows.csv", "--label", "y")
    assert set(names.values()) <= set(config.data.columns)
    assert {"größe: (cm)", "yes"} == set(config.task.options["features"])


def test_init_when_cells_and_names_span_lines_then_the_yaml_and_the_report_do_not(init, workdir):
    rows = pd.DataFrame({"a\nb": range(ROWS), "größe": [f"x{i % 3}\ny" for i in range(ROWS)]})
    rows["y\n"] = [f"n\n{i % 2}" for i in range(ROWS)]
    rows.to_csv("rows.csv", index=False)
    done, config = init("--data", "rows.csv", "--label", "y\n")
    assert config.data.label == "y\n"
    assert config.data.columns == {"a\nb": "int", "größe": "text"}
    assert config.task.options["classes"] == ["n\n0", "n\n1"]
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("größe")]
    assert line.endswith("x0 y")
    assert any(
        line.startswith("a b: another value") for line in map(str.strip, done.stderr.splitlines())
    )


def test_init_when_it_looks_at_some_rows_then_epochs_go_by_all(init, workdir, monkeypatch):
    monkeypatch.setattr(table, "ROWS", 1000)
    rows = 40_000
    text = "x,y\n" + "".join(f"{i % 50},{i // 7 % 2}\n" for i in range(rows))
    (workdir / "rows.csv").write_text(text)
    done, config = init("--data", "rows.csv", "--label", "y")
    assert "1000 rows of about 40000 looked at" in done.stderr
    assert (config.train.epochs, config.train.batch_size) == (28, 256)


def test_init_when_rows_are_bad_then_they_are_put_aside(init, workdir):
    frame().to_csv("rows.csv", index=False)
    with (workdir / "rows.csv").open("a") as file:
        file.write("1,2\n")
    done, config = init("--data", "rows.csv", "--label", "y")
    assert config.data.bad_rows == "quarantine"
    assert "rows.csv: line 202: found 2 cells; allowed: 6, as the header has" in done.stderr


def test_init_when_data_are_arrays_then_vectors_are_read_whole(init, workdir):
    draw = np.random.default_rng(0)
    np.savez("data.npz", x=draw.normal(size=(ROWS, 5)), y=draw.integers(0, 3, ROWS))
    _, config = init("--data", "data.npz")
    assert config.data.label == "y"
    assert config.task.options["features"]["x"]["size"] == 5
    assert make_task(config.task).label_values == [0, 1, 2]


def test_init_when_data_are_pictures_then_the_task_is_image(init, workdir):
    for number in range(6):
        path = workdir / "pets" / ("cat" if number % 2 else "dog") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4), (number, 0, 0)).save(path)
    done, config = init("--data", "pets")
    assert config.task.name == "image"
    assert config.task.options["classes"] == ["cat", "dog"]
    assert "6 pictures of 4 to 4 pixels a side, in colours" in done.stderr
    check_inputs(config, Source("run.yaml"))


def test_init_when_no_file_is_named_then_only_the_configuration_is_on_stdout(workdir):
    frame().to_csv("rows.csv", index=False)
    done = CliRunner().invoke(app, ["init", "--data", "rows.csv", "--label", "y"])
    (workdir / "piped.yaml").write_text(done.stdout)
    assert load_config("piped.yaml").name == "rows"
    assert "200 rows, 5 columns" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "none.csv", "--label", "y"], "no such file"),
        (["--data", "rows.csv"], "no label named; allowed: --label COLUMN"),
        (["--data", "rows.csv", "--label", "z"], "no column 'z'; allowed: a column (size, kind"),
        (["--data", "rows.csv", "--label", "open('x')"], "found \"open('x')\" in it"),
        (["--data", "rows.csv", "--label", "same"], "found 1 value; allowed: two or more"),
        (["--data", "rows.csv", "--label", "kind", "--problem", "regression"], "found texts"),
        (["--data", "empty.csv", "--label", "y"], "found no rows; allowed: rows"),
        (["--data", "README.md", "--label", "y"], "found no file of a kind that is read"),
    ],
)
def test_init_when_something_does_not_fit_then_says_what_and_writes_nothing(
    init, workdir, arguments, message
):
    frame().to_csv("rows.csv", index=False)
    frame()[:0].to_csv("empty.csv", index=False)
    with pytest.raises(ConfigError) as error:
        init(*arguments)
    assert message in str(error.value)
    assert not (workdir / "run.yaml").exists()


def test_init_when_the_file_exists_then_it_is_kept_unless_forced(init, workdir):
    frame().to_csv("rows.csv", index=False)
    (workdir / "run.yaml").write_text("mine")
    with pytest.raises(ConfigError, match=r"run\.yaml, which exists; allowed: .* or --force"):
        init("--data", "rows.csv", "--label", "y")
    assert (workdir / "run.yaml").read_text() == "mine"
    init("--data", "rows.csv", "--label", "y", "--force")
