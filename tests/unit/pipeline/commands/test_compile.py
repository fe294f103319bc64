"""`tapeline compile`: what is refused before the minute that it takes, and what is printed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.commands import compile as command
from pipeline.config_file import ConfigError
from pipeline.program import shell_line


@pytest.fixture
def compile_(write_config, monkeypatch):
    """Compiles the digits pipeline into a folder; what would come of it is given."""

    def run(out: Path, files: dict[str, str] | None = None, *overrides: str, **options: str):
        def compiled(*_arguments: object) -> dict[str, str]:
            assert files is not None, "it was compiled"
            return files

        monkeypatch.setattr(command, "_compile", compiled)
        command.compile_(str(write_config()), out=out, set_=list(overrides), **options)

    return run


@pytest.mark.parametrize(
    ("out", "found"),
    [
        ("file", "{out}, which is no folder"),
        ("file/inner", "{out}, which is no folder"),
        ("/proc/compiled", "/proc: No such file or directory"),
        ("x" * 300, "{out}: File name too long"),
    ],
)
def test_compile_when_the_folder_cannot_be_written_then_is_refused_before(
    compile_, tmp_path, out, found
):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError) as raised:
        compile_(tmp_path / out)
    told = found.format(out=tmp_path / out.removesuffix("/inner"))
    assert str(raised.value) == (
        f"compile: --out: found {told}; allowed: a folder that can be written"
    )


def test_compile_when_the_target_lacks_such_a_node_then_is_refused_before(compile_, tmp_path):
    override = "orchestration.airflow.nodes.No.retries=1"
    with pytest.raises(ConfigError, match=f"--set {override}: orchestration.airflow.nodes.No: "):
        compile_(tmp_path / "out", None, override, target="airflow")
    assert not (tmp_path / "out").exists()


def test_compile_when_a_file_cannot_be_written_then_is_told(compile_, tmp_path):
    (tmp_path / "graph.json").mkdir()
    with pytest.raises(ConfigError, match=r"compile: --out: found .*: Is a directory; allowed: "):
        compile_(tmp_path, {"graph.json": '{"nodes": [{"id": "ExampleGen"}]}'})


def test_compile_when_done_then_says_what_it_removed_and_the_first_node_to_try(
    compile_, tmp_path, capsys
):
    graph = {"working_directory": "/", "nodes": [{"id": "BigQueryExampleGen"}]}
    out = tmp_path / "my dags"
    compile_(out, {"graph.json": json.dumps(graph)})
    assert capsys.readouterr().out.splitlines() == [
        f"compiled   graph.json in {out}",
        f"try it     {shell_line('node', str(out), 'BigQueryExampleGen', '--run-id', 'trial')}",
    ]
    compile_(out, {"pipeline.yaml": "a"})
    assert capsys.readouterr().out.splitlines() == [
        "removed    graph.json, of an earlier compilation",
        f"compiled   pipeline.yaml in {out}",
    ]
