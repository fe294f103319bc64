"""More rows of a CSV."""

from __future__ import annotations

import pytest

from benchmarks.tiles import tile


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (1, "a,b\n1,2\n"),
        (2, "a,b\n1,2\n3,4\n"),
        (5, "a,b\n1,2\n3,4\n1,2\n3,4\n1,2\n"),
    ],
)
def test_tile_when_rows_are_asked_for_then_writes_so_many_under_one_header(
    rows, expected, tmp_path
):
    (tmp_path / "few.csv").write_text("a,b\n1,2\n3,4")  # the last line as editors leave it
    tile(tmp_path / "few.csv", rows, tmp_path / "many.csv")
    assert (tmp_path / "many.csv").read_text() == expected


def test_tile_when_there_are_no_rows_then_says_so_and_does_not_go_on_for_ever(tmp_path):
    (tmp_path / "none.csv").write_text("a,b\n")
    with pytest.raises(ValueError, match="found no rows"):
        tile(tmp_path / "none.csv", 5, tmp_path / "many.csv")
