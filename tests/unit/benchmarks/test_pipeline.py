"""The table of a whole run against TFX's example."""

from __future__ import annotations

import pytest

from benchmarks.pipeline.__main__ import REST, WHOLE, Timed, time_rows


def test_time_rows_when_both_ran_twice_then_gives_medians_by_node_and_the_ratio_of_the_rounds():
    rounds = [
        (Timed(100.0, {"A": 40.0, "B": 10.0}), Timed(30.0, {"A": 20.0, "Gate": 1.0})),
        (Timed(200.0, {"A": 60.0, "B": 10.0}), Timed(40.0, {"A": 20.0, "Gate": 3.0})),
    ]
    rows = {row["node"]: row for row in time_rows(rounds)}
    assert list(rows) == ["A", "B", "Gate", REST, WHOLE]
    assert (rows["A"]["tfx"], rows["A"]["tapeline"]) == (50.0, 20.0)
    assert (rows["B"]["tfx"], rows["B"]["tapeline"]) == (10.0, None)
    assert (rows["Gate"]["tfx"], rows["Gate"]["tapeline"]) == (None, 2.0)
    assert (rows[REST]["tfx"], rows[REST]["tapeline"]) == (90.0, 13.0)
    whole = rows[WHOLE]
    assert (whole["tfx"], whole["tapeline"]) == (150.0, 35.0)
    assert whole["ratio"] == pytest.approx((0.3 + 0.2) / 2)
    assert (whole["lowest"], whole["highest"]) == (pytest.approx(0.2), pytest.approx(0.3))


def test_write_splits_when_a_csv_is_split_then_each_row_is_where_example_gen_puts_it(tmp_path):
    from benchmarks.pipeline.splits import write_splits
    from components.example_gen.examples import intake_of
    from components.example_gen.sources import make_source
    from pipeline.config_file import load_config

    rows = [f"{number},{number % 2}\n" for number in range(200)]
    csv, config = tmp_path / "rows.csv", tmp_path / "run.yaml"
    csv.write_text("x,y\n" + "".join(rows))
    config.write_text(
        f"name: rows\ndata: {{source: csv, path: {csv}, label: y}}\n"
        "task: {name: tabular, options: {problem: binary, classes: [0, 1], "
        "features: {x: {kind: numeric}}}}\n"
        "train: {epochs: 1, batch_size: 8}\n"
        "evaluate: {metrics: [{name: auc, head: y, at_least: 0.5}]}\n"
    )
    write_splits(config, tmp_path / "splits")
    counts = intake_of(make_source(load_config(str(config), []).data)).splits
    found = {
        split: (tmp_path / "splits" / split / "rows.csv").read_text().splitlines(keepends=True)
        for split in counts
    }
    assert {split: len(lines) - 1 for split, lines in found.items()} == counts
    assert all(lines[0] == "x,y\n" for lines in found.values())
    assert sorted(line for lines in found.values() for line in lines[1:]) == sorted(rows)
