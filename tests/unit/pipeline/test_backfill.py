"""Spans that were missed: which there are, and runs of them that end at the first failure."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from pipeline.backfill import find_spans, run_spans
from pipeline.config_file import ConfigError

TAPELINE = """\
import json, re, sys
(span,) = re.findall(r"data\\.span=(.*)", " ".join(sys.argv[1:]).replace(" --json", ""))
span = json.loads(span)
print(f"ran {span}", file=sys.stderr)
code = CODES.get(span, 0)
if code < 2:
    print("of the display")
    print(json.dumps({"status": "failed" if code else "pushed", "run_id": f"run-{span}",
                      "arguments": sys.argv[1:]}))
sys.exit(code)
"""
"""What takes the place of `tapeline run`: ends with the exit code of the span."""


@pytest.fixture
def config(write_config, tmp_path, monkeypatch) -> str:
    """A configuration of three spans, the paths relative to the working directory."""
    monkeypatch.chdir(tmp_path)
    for day in ("2026-01-30", "2026-02-01", "2026-02-02"):
        Path(f"{day}.csv").write_text("a,label\n1,0\n")
    data = {"source": "csv", "path": "{YYYY}-{MM}-{DD}.csv", "label": "label"}
    return str(write_config({"data": data}))


@pytest.fixture
def program(tmp_path):
    """Makes a program that ends the runs of some spans with exit codes of their own."""

    def make(codes) -> list[str]:
        path = tmp_path / "tapeline.py"
        path.write_text(TAPELINE.replace("CODES", repr(codes)))
        return [sys.executable, str(path)]

    return make


def test_spans_when_in_the_range_then_come_oldest_first_and_missing_days_are_none(config):
    spans = find_spans(config, [], "2026-01-31", "2026-12-31")
    assert spans == {"2026-02-01": ["2026-02-01.csv"], "2026-02-02": ["2026-02-02.csv"]}
    assert [*find_spans(config, [], "2026-01-30", "2026-01-30")] == ["2026-01-30"]


@pytest.mark.parametrize(
    ("first", "last", "error"),
    [
        (
            "2027-01-01",
            "2027-01-02",
            r"--from, --to: found .*: no span from .*; allowed: some of 2026-01-30, 2026-02-01",
        ),
        ("2026-02-02", "2026-01-30", r"--from, --to: .*: no span from 2026-02-02 to 2026-01-30"),
        ("1", "9", r"--from, --to: .*: span 1 wanted; allowed: a date such as 2026-01-31"),
        ("May", "June", r"--from: found May; allowed: a number, or a date such as 2026-01-31"),
    ],
)
def test_range_when_it_holds_no_span_then_is_refused(config, first, last, error):
    with pytest.raises(ConfigError, match=error):
        find_spans(config, [], first, last)


def test_data_when_they_have_no_spans_then_are_refused(config, write_config):
    with pytest.raises(ConfigError, match=r"data\.path: found digits, which names no spans"):
        find_spans(str(write_config()), [], "1", "2")


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("no-such-{YYYY}-{MM}-{DD}.csv", "found no span; allowed: files or folders"),
        ("{SPAN}-{YYYY}.csv", "found {SPAN} {YYYY}; allowed: {SPAN}, or {YYYY}, {MM} and {DD}"),
    ],
)
def test_data_when_their_path_is_wrong_then_it_is_what_is_told(config, path, found):
    for overrides, source in (([], config), ([f"data.path='{path}'"], "--set data.path=")):
        if not overrides:
            text = Path(config).read_text()
            Path(config).write_text(text.replace("'{YYYY}-{MM}-{DD}.csv'", f"'{path}'"))
        with pytest.raises(ConfigError) as caught:
            find_spans(config, overrides, "2026-01-30", "2026-02-01")
        assert str(caught.value).startswith(source)
        assert f"data.path: found {path}: {found}" in str(caught.value)


def test_runs_when_all_come_to_a_decision_then_all_are_run_in_order(program, capfd):
    done = list(run_spans("t.yaml", ["train.epochs=2"], [1, 2, 4], program({2: 4})))
    assert [(one.span, one.exit, one.went_on) for one in done] == [
        (1, 0, True),
        (2, 4, True),
        (4, 0, True),
    ]
    assert done[0].status == "pushed"
    assert done[0].summary["arguments"] == [
        "run", "t.yaml", "--set", "train.epochs=2", "--set", "data.span=1", "--json",
    ]  # fmt: skip
    assert re.findall(r"ran (\d)", capfd.readouterr().err) == ["1", "2", "4"]


def test_run_when_it_fails_then_is_the_last(program):
    done = list(run_spans("t.yaml", [], ["2026-01-30", "2026-02-01"], program({"2026-01-30": 1})))
    (only,) = done
    assert (only.exit, only.went_on, only.status) == (1, False, "failed")


def test_run_when_it_gives_no_summary_then_its_exit_code_tells(program):
    (only,) = run_spans("t.yaml", [], [1, 2], program({1: 2}))
    assert (only.status, only.summary) == ("exit 2", {})


def test_backfill_when_dry_then_lists_the_spans_and_runs_none(config, tapeline, tmp_path):
    range_ = ["--from", "2026-01-30", "--to", "2026-02-01", "--dry-run"]
    done = tapeline("backfill", config, *range_, cwd=tmp_path)
    assert done.stdout == "2026-01-30  2026-01-30.csv\n2026-02-01  2026-02-01.csv\n"
    done = tapeline("backfill", config, *range_, "--json", cwd=tmp_path)
    assert [json.loads(line)["span"] for line in done.stdout.splitlines()] == [
        "2026-01-30",
        "2026-02-01",
    ]
    assert not (tmp_path / "runs").exists()


def test_backfill_when_a_run_fails_then_tells_how_to_go_on_and_exits_as_it(
    config, tapeline, tmp_path
):
    """The runs are real, and refused: the table has no such label."""
    done = tapeline(
        "backfill", config, "--from", "2026-01-30", "--to", "2026-02-09", "--set", "train.epochs=1",
        cwd=tmp_path,
    )  # fmt: skip
    assert done.code == 2, done
    assert "stopped    at span 2026-01-30: exit 2; 2 more did not run" in done.stderr
    again = f"backfill {config} --from 2026-01-30 --to 2026-02-09 --set train.epochs=1"
    assert re.search(rf"^go on      \S+ {again}$", done.stderr, re.MULTILINE)
    assert re.search(r"^  2026-01-30 +exit 2 +- +- +- +-$", done.stdout, re.MULTILINE)
