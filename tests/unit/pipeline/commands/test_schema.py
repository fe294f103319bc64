"""`tapeline schema` and the configuration's `schema` and `validate`: what they refuse, and how."""

from __future__ import annotations

import pytest

from pipeline.checks import check_inputs
from pipeline.config_file import ConfigError, Source, load_config

SCHEMA = 'feature { name: "image" type: FLOAT }\nfeature { name: "digit" type: INT }\n'


@pytest.fixture
def in_folder(tmp_path, write_config, monkeypatch):
    """A folder with the digits configuration as `run.yaml`, its root in the folder too."""
    monkeypatch.chdir(tmp_path)
    write_config({"root": "runs"})
    return tmp_path


@pytest.fixture
def refusals(in_folder):
    """Returns what is wrong with the configuration under overrides."""

    def run(*overrides):
        config = load_config("run.yaml", overrides)
        try:
            check_inputs(config, Source("run.yaml", overrides))
        except ConfigError as error:
            return [str(problem) for problem in error.problems]
        return []

    return run


def test_schema_when_it_has_every_column_then_is_taken(refusals, in_folder):
    (in_folder / "s.pbtxt").write_text(SCHEMA)
    assert refusals("schema.path=s.pbtxt") == []


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (None, "s.pbtxt: No such file or directory; allowed: a file that `tapeline schema freeze`"),
        ('feature { name: "x" }\nfeature { nam: 1 }', "s.pbtxt: line 2, "),
        ("", "s.pbtxt: no feature; allowed: a Schema proto as text"),
        ('feature { name: "image" }', "s.pbtxt without the label, 'digit'; allowed: "),
    ],
)
def test_schema_when_it_is_none_then_is_refused_with_where_and_what(
    refusals, in_folder, content, found
):
    if content is not None:
        (in_folder / "s.pbtxt").write_text(content)
    (problem,) = refusals("schema.path=s.pbtxt")
    assert problem.startswith(f"--set schema.path=s.pbtxt: schema.path: found {found}")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("validate.features", "{imag: {drift: warn}}"),
        ("validate.drift.features", "{imag: 0.2}"),
        ("validate.skew.features", "{imag: null}"),
    ],
)
def test_policy_when_it_is_of_no_column_then_is_refused(refusals, in_folder, key, value):
    (problem,) = refusals(f"{key}={value}")
    assert f"{key}.imag: found 'imag'; allowed: a column of the data or of the schema: " in problem
    (in_folder / "s.pbtxt").write_text(SCHEMA + 'feature { name: "imag" }')
    assert refusals(f"{key}={value}", "schema.path=s.pbtxt") == []


def test_serving_logs_when_no_file_matches_then_are_refused(refusals, in_folder):
    override = "validate.skew.serving_logs=logs/*.tfrecord"
    (problem,) = refusals(override)
    assert "serving_logs: found logs/*.tfrecord, which no file matches; allowed: a glob" in problem
    (in_folder / "logs").mkdir()
    (in_folder / "logs" / "1.tfrecord").touch()
    assert refusals(override) == []
    assert refusals("validate.skew.serving_logs=gs://bucket/*") == []


@pytest.mark.parametrize("command", ["freeze", "diff"])
def test_schema_command_when_there_are_no_statistics_then_exits_2_and_says_what_to_run(
    in_folder, tapeline, command
):
    (in_folder / "s.pbtxt").write_text(SCHEMA)
    done = tapeline("schema", command, "run.yaml", "--set", "schema.path=s.pbtxt", cwd=in_folder)
    assert done.code == 2, done
    assert "without statistics; allowed: " in done.stderr
    assert "`tapeline check` or `tapeline run` first" in done.stderr


def test_freeze_when_the_file_exists_then_exits_2_and_leaves_it(in_folder, tapeline):
    (in_folder / "digits.pbtxt").write_text("mine")
    done = tapeline("schema", "freeze", "run.yaml", cwd=in_folder)
    assert done.code == 2, done
    assert "FILE: found digits.pbtxt, which exists; allowed: --force" in done.stderr
    assert (in_folder / "digits.pbtxt").read_text() == "mine"


def test_freeze_when_there_is_no_such_folder_then_exits_2(in_folder, tapeline):
    done = tapeline("schema", "freeze", "run.yaml", "-o", "no/where.pbtxt", cwd=in_folder)
    assert done.code == 2, done
    assert "no folder no; allowed: a file in a folder" in done.stderr


def test_diff_when_no_schema_is_frozen_then_exits_2(in_folder, tapeline):
    done = tapeline("schema", "diff", "run.yaml", cwd=in_folder)
    assert done.code == 2, done
    assert "schema.path: found nothing; allowed: a file: `tapeline schema freeze`" in done.stderr


def test_diff_when_there_is_no_such_run_then_exits_2(in_folder, tapeline):
    (in_folder / "s.pbtxt").write_text(SCHEMA)
    done = tapeline(
        *("schema", "diff", "run.yaml", "--data-run", "7", "--set", "schema.path=s.pbtxt"),
        cwd=in_folder,
    )
    assert done.code == 2, done
    assert "--data-run: found 7; allowed: a run under " in done.stderr
