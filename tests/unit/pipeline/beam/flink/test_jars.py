"""What a cluster is made with, and what is said where it is missing."""

from __future__ import annotations

import subprocess

import pytest

from pipeline.beam.flink.jars import POM, MissingTool, fetch_jars, find_java


@pytest.fixture
def programs(tmp_path, monkeypatch, write_program):
    """Puts programs on a PATH that has no others."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    return lambda name, script: write_program(tmp_path / "bin" / name, script)


def test_java_when_it_is_17_then_is_found(programs):
    program = programs("java", "echo 'openjdk version \"17.0.15\" 2025-04-15' >&2")
    assert find_java() == str(program)


def test_java_when_there_is_none_then_says_what_to_install(programs):
    with pytest.raises(MissingTool, match="found none on PATH; install Java 17, for example `apt"):
        find_java()


def test_java_when_it_is_another_then_says_which_was_found(programs):
    programs("java", "echo 'openjdk version \"21.0.1\" 2023-10-17' >&2")
    with pytest.raises(MissingTool, match=r"which says openjdk version .21.0.1.*install Java 17"):
        find_java()


def test_java_when_java_home_names_one_then_is_that(programs, tmp_path, monkeypatch, write_program):
    programs("java", "echo 'openjdk version \"21.0.1\"' >&2")
    inner = write_program(tmp_path / "home/bin/java", "echo 'openjdk version \"17.0.1\"' >&2")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "home"))
    assert find_java() == str(inner)


def test_jars_when_they_are_not_there_then_maven_fetches_them_once(programs, tmp_path):
    calls = tmp_path / "calls"
    programs(
        "mvn",
        f'echo "$@" >> {calls}; for a in "$@"; do case $a in -DoutputDirectory=*) '
        'f=${a#*=}; /bin/mkdir -p "$f"; echo jar > "$f/flink.jar";; esac; done',
    )
    said: list[str] = []

    jars = fetch_jars(tmp_path / "build", said.append)
    assert fetch_jars(tmp_path / "build", said.append) == jars

    assert (jars / "flink.jar").read_text() == "jar\n"
    assert [path.name for path in (tmp_path / "build").iterdir()] == [jars.name]
    (call,) = calls.read_text().splitlines()
    assert f"--file {POM} dependency:copy-dependencies" in call
    assert said == ["fetching Flink's and Beam's jars with Maven, 160 MB, once"]


def test_jars_when_maven_fails_then_nothing_is_left_that_looks_complete(programs, tmp_path):
    programs(
        "mvn",
        'for a in "$@"; do case $a in -DoutputDirectory=*) '
        'f=${a#*=}; /bin/mkdir -p "$f"; echo half > "$f/flink.jar";; esac; done; exit 1',
    )
    with pytest.raises(subprocess.CalledProcessError):
        fetch_jars(tmp_path / "build", lambda _: None)
    assert list((tmp_path / "build").iterdir()) == []


def test_jars_when_there_is_no_maven_then_says_what_to_install(programs, tmp_path):
    with pytest.raises(MissingTool, match="mvn: found none on PATH; install Maven"):
        fetch_jars(tmp_path / "build")
    assert not (tmp_path / "build").exists()
