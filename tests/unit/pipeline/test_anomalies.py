"""How the gate's verdict is shown, and how a person answers it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from components.anomaly_gate.verdict import read_acceptance
from pipeline.anomalies import accept, anomaly_lines, answers, shown
from pipeline.display import summary_lines
from pipeline.report import CHECKED, Summary


def finding(feature, level, **changes):
    return {
        "feature": feature,
        "rule": "new_category",
        "kind": "enum_type_unexpected_string_values",
        "expected": "one of card, cash",
        "found": "voucher in 2% of the values",
        "against": "previous data",
        "splits": ["train", "eval"],
        "fraction": 0.02,
        "level": level,
        **changes,
    }


def verdict(*findings, acceptance=None):
    return {"findings": list(findings), "acceptance": acceptance}


def test_table_shows_what_stops_before_what_warns_and_not_what_passes():
    lines = anomaly_lines(
        verdict(finding("tolls", "warn"), finding("note", "pass"), finding("payment", "stop"))
    )
    assert lines == [
        "anomalies  1 stop, 1 warn",
        "  LEVEL  FEATURE  RULE          EXPECTED           FOUND                        "
        "AGAINST        SPLITS",
        "  stop   payment  new_category  one of card, cash  voucher in 2% of the values  "
        "previous data  train,eval",
        "  warn   tolls    new_category  one of card, cash  voucher in 2% of the values  "
        "previous data  train,eval",
    ]


def test_table_when_nothing_is_to_be_told_then_is_none():
    assert anomaly_lines(verdict()) == []
    assert anomaly_lines(verdict(finding("note", "pass"))) == []


def test_table_when_there_are_many_then_shows_the_first_and_says_where_the_others_are():
    lines = anomaly_lines(verdict(*(finding(f"f{n}", "stop") for n in range(300))))
    assert len(lines) == 23
    assert lines[-1] == "  ... and 280 more in anomalies.json"


def test_table_when_a_text_is_long_or_has_line_breaks_then_keeps_to_one_line():
    (_, _, line) = anomaly_lines(verdict(finding("a\nb", "stop", found="x" * 200)))
    assert " a b " in line
    assert "x" * 43 + "... " in line


def test_findings_shown_are_those_that_stop_then_those_that_warn():
    found = verdict(finding("b", "warn"), finding("c", "pass"), finding("a", "stop"))
    assert [one["feature"] for one in shown(found)] == ["a", "b"]


def test_acceptance_when_given_is_left_for_the_gate_with_who_when_and_why(tmp_path):
    run_dir = tmp_path / "20260101-000000-000000"
    run_dir.mkdir()
    accept(run_dir, "a new 'sensor'\nsince Monday")
    found = read_acceptance(run_dir)
    assert found.why == "a new 'sensor'\nsince Monday"
    assert found.run_id == run_dir.name
    user, _, machine = found.by.partition("@")
    assert user
    assert machine
    assert found.at.endswith("+00:00")
    assert read_acceptance(tmp_path) is None


def test_answers_say_how_to_accept_and_what_to_review(monkeypatch):
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    configuration = ["my run.yaml", "--set", "train.seed=1"]
    command = ["run", *configuration]
    assert answers(command, configuration, None) == [
        "accept     tapeline run 'my run.yaml' --set train.seed=1 --accept-anomalies 'WHY'",
        "review     tapeline schema freeze 'my run.yaml' --set train.seed=1",
    ]
    assert answers(command, configuration, "s.pbtxt")[1] == (
        "review     tapeline schema diff 'my run.yaml' --set train.seed=1"
    )


def test_summary_when_anomalies_were_accepted_then_shows_them_and_by_whom():
    acceptance = {"by": "ada@lab", "why": "a new\nsensor", "at": "2026", "run_id": "1"}
    found = verdict(finding("payment", "stop"), acceptance=acceptance)
    lines = summary_lines(Summary(CHECKED, "1", "/out", anomalies=found), "")
    assert "anomalies  1 stop, 0 warn" in lines
    assert "accepted   by ada@lab: a new sensor" in lines
    assert "checked    the data may be trained on" in lines


def test_runs_when_one_went_on_by_an_acceptance_then_says_so(tmp_path, tapeline):
    acceptance = {"by": "ada@lab", "why": "a new\nsensor", "at": "2026", "run_id": "1"}
    for run_id, accepted in (("1", acceptance), ("2", None)):
        folder = tmp_path / "runs" / "taxi" / "runs" / run_id
        folder.mkdir(parents=True)
        found = verdict(finding("payment", "stop"), acceptance=accepted)
        Summary("pushed", run_id, str(folder), anomalies=found).write()
    first, second = tapeline("runs", cwd=tmp_path).stdout.splitlines()
    assert first.endswith("anomalies accepted by ada@lab: a new sensor")
    assert "accepted" not in second
    (listed, _) = tapeline("runs", "--json", cwd=tmp_path).stdout.splitlines()
    assert json.loads(listed)["acceptance"] == acceptance


def test_run_when_anomalies_are_accepted_without_a_reason_then_exits_2(
    tmp_path, write_config, tapeline
):
    write_config()
    done = tapeline("run", "run.yaml", "--accept-anomalies", " ", cwd=tmp_path)
    assert done.code == 2
    assert "--accept-anomalies: found no reason; allowed: why" in done.stderr
    assert not (tmp_path / "runs").exists()
