"""How much memory there is, by files as the kernel shows them."""

from __future__ import annotations

import pytest

from pipeline.runners.memory import memory_limit


@pytest.fixture
def group(tmp_path):
    """Writes files of control groups; returns the limit that they make."""

    def limit(own: str, **files: str) -> str:
        (tmp_path / "own").write_text(own)
        for name, text in files.items():
            path = tmp_path / "groups" / name.replace("__", "/").replace("_max", ".max")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return memory_limit(tmp_path / "groups", tmp_path / "own")

    return limit


def test_memory_when_a_group_around_it_is_limited_then_is_that_of_the_container(group):
    found = group("0::/pod/app\n", pod__memory_max="50000000\n", pod__app__memory_max="max\n")
    assert found == "this container may use 50 MB"


def test_memory_when_the_old_kind_of_group_is_limited_then_is_that_of_the_container(
    tmp_path, group
):
    file = tmp_path / "groups" / "memory" / "memory.limit_in_bytes"
    file.parent.mkdir(parents=True)
    file.write_text("60000000\n")
    assert group("4:memory:/docker/1\n") == "this container may use 60 MB"


def test_memory_when_nothing_is_limited_then_is_that_of_the_machine(group):
    found = group("0::/\n", memory_max="9223372036854771712\n")
    assert found.startswith("this machine has ")
    assert group("").startswith("this machine has ")
