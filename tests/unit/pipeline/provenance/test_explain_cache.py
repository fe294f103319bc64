"""`tapeline explain-cache`: the answers as lines, with what the metadata do not know."""

from __future__ import annotations

import pytest

from pipeline.commands.explain_cache import explain_cache
from pipeline.config_file import ConfigError
from pipeline.report import NOT_BLESSED, Node, Summary


def test_run_when_explained_then_has_a_line_for_each_node_and_those_that_were_skipped(
    books, capsys
):
    books.ran("a", "Trainer", key="1", epochs=5)
    folder = books.run_folder("b")
    books.ran("b", "Trainer", key="2", epochs=7, rate="0.1")
    nodes = [Node("Trainer", "done", 1.0), Node("Pusher", "skipped", 0.0)]
    Summary(NOT_BLESSED, "b", str(folder), nodes=nodes).write()
    explain_cache(str(folder))
    assert [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()] == [
        "digits run b",
        "Trainer ran epochs: 5 before, 7 now (against run a)",
        'rate: nothing before, "0.1" now',
        "Pusher skipped its condition is false",
    ]


def test_run_when_its_configuration_turned_the_cache_off_then_that_is_the_reason(books, capsys):
    books.ran("a", "Trainer", key="1")
    folder = books.run_folder("b", cache=False)
    books.ran("b", "Trainer", key="1")
    explain_cache(str(folder))
    assert "Trainer            ran        caching is off in this run" in capsys.readouterr().out


@pytest.mark.parametrize("left", ["renamed_since: 1\n", "train: {seed: [", None])
def test_run_when_an_earlier_one_s_configuration_is_unreadable_then_is_explained_without(
    books, capsys, left
):
    books.ran("a", "Trainer", key="1")
    config = books.run_folder("a") / "config.yaml"
    if left is None:
        config.unlink()
    else:
        config.write_text(left)
    folder = books.run_folder("b")
    books.ran("b", "Trainer", key="2")
    explain_cache(str(folder))
    assert "nothing on record differs: its executor, or" in capsys.readouterr().out


def test_run_when_it_came_to_no_node_then_is_refused(books):
    folder = books.run_folder("c")
    with pytest.raises(ConfigError, match="of which the metadata know nothing"):
        explain_cache(str(folder))
