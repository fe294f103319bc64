"""The gate on spans of data: what it stops, what it lets through, and on whose word."""

from __future__ import annotations

import json

import numpy as np
import pytest

from components.anomaly_gate.verdict import AnomaliesFound
from components.example_gen.source import DataError
from tests.unit.components.anomaly_gate.verdicts import stops


def test_gate_when_data_are_the_first_then_have_nothing_to_be_held_to(first):
    assert first.found() == []
    assert first.verdict["reference"] is None
    assert first.verdict["distances"] == []


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("count", [100, 1000])
def test_gate_when_a_span_is_another_sample_of_the_same_then_goes_through(gate, rows, seed, count):
    previous = gate.run(rows(0, count))
    span = gate.run(rows(seed, count), previous)
    assert span.found("stop") == span.found("warn") == []
    assert span.verdict["reference"] == previous.statistics.uri
    assert {found["feature"] for found in span.verdict["distances"]} == {
        *("size", "fare", "hour", "payment", "key", "tipped")
    }


def test_gate_when_values_that_hardly_ever_occur_are_new_then_they_go_through_by_chance(gate, rows):
    names = [f"rare {n}" for n in range(40)]  # each in one row of the first 60

    def data(seed, rare):
        frame = rows(seed, 600)
        frame.loc[frame.index[::10], "payment"] = (rare * 2)[:60]
        return frame

    previous = gate.run(data(0, names))
    span = gate.run(data(1, [*names[:-1], "new"]), previous)
    assert set(span.found()) == {("payment", "new_category")}
    assert {found["level"] for found in span.verdict["findings"]} == {"pass"}
    strict = {"policy": {"new_category": "stop"}, "new_category_fraction": 0.0}
    gate.stopped(data(1, [*names[:-1], "new"]), previous, strict)


def test_gate_when_a_distribution_has_shifted_then_stops_it(gate, rows, first):
    (found,) = stops(gate.stopped(rows(1, size=rows(1)["size"] + 1.5), first))
    assert (found["feature"], found["rule"]) == ("size", "drift")
    assert (found["against"], found["splits"]) == ("previous data", ["train"])
    expected = found["expected"].split()
    assert expected[:2] == ["jensen_shannon_divergence", "<="]
    assert 0.1 < float(expected[2]) < float(found["found"])


def test_gate_when_it_is_told_of_no_run_then_stops_data_all_the_same(gate, rows, first):
    shifted = rows(1, size=rows(1)["size"] + 1.5)
    (found,) = stops(gate.stopped(shifted, first, knows_run=False))
    assert (found["feature"], found["rule"]) == ("size", "drift")


def test_gate_when_shares_of_categories_have_shifted_then_stops_it_and_names_which(
    gate, rows, first
):
    payment = np.random.default_rng(9).choice(["card", "cash"], 1000, p=[0.9, 0.1])
    (found,) = stops(gate.stopped(rows(1, payment=payment), first))
    assert (found["feature"], found["rule"]) == ("payment", "drift")
    assert found["expected"].startswith("l_infinity <= 0.1")
    assert found["found"].startswith("0.")
    assert found["found"].endswith((", most at card", ", most at cash"))


def test_gate_when_a_category_is_new_then_stops_it_and_says_how_much_of_it_there_is(
    gate, rows, first
):
    data = rows(1)
    data.loc[data.index % 50 == 0, "payment"] = "voucher"
    assert stops(gate.stopped(data, first)) == [
        {
            "feature": "payment",
            "rule": "new_category",
            "expected": "one of card, cash",
            "found": "voucher in 2% of the values",
            "against": "previous data",
            "splits": ["train", "eval", "test"],
        }
    ]


def test_gate_when_a_column_is_gone_then_stops_it(gate, rows, first):
    assert stops(gate.stopped(rows(1).drop(columns="hour"), first)) == [
        {
            "feature": "hour",
            "rule": "column_missing",
            "expected": "a column of INT",
            "found": "no such column",
            "against": "previous data",
            "splits": ["train", "eval", "test"],
        }
    ]


@pytest.mark.parametrize(("kind", "found"), [(str, "STRING"), (float, "FLOAT")])
def test_gate_when_a_type_has_changed_then_stops_it(gate, rows, first, kind, found):
    (stop,) = stops(gate.stopped(rows(1, hour=rows(1)["hour"].astype(kind)), first))
    assert (stop["feature"], stop["rule"]) == ("hour", "type_changed")
    assert (stop["expected"], stop["found"]) == ("INT", found)


def test_gate_when_values_are_missing_that_never_were_then_stops_it_once(gate, rows, first):
    data = rows(1)
    data.loc[data.index < 10, "size"] = np.nan
    (found,) = stops(gate.stopped(data, first))
    assert (found["feature"], found["rule"]) == ("size", "missing_values")
    assert found["expected"] == "present in 100% of the rows"
    assert found["found"] == "missing in 10 of 1000 rows"


def test_gate_when_a_column_is_new_then_warns(gate, rows, first):
    span = gate.run(rows(1, tolls=rows(1)["fare"]), first)
    assert span.found("warn") == [("tolls", "column_new")]
    assert span.found("stop") == []


def test_gate_when_eval_has_a_category_that_train_lacks_then_warns(gate, rows):
    train, rest = rows(0), rows(1)
    rest.loc[0, "payment"] = "voucher"
    span = gate.run({"train": train, "eval": rest, "test": rows(2)})
    assert span.found("warn") == [("payment", "new_category")]
    (found,) = span.verdict["findings"]
    assert (found["against"], found["splits"]) == ("train split", ["eval"])


@pytest.mark.parametrize(
    ("columns", "validate", "level"),
    [
        (["payment", "tipped"], {}, "warn"),
        (["payment", "tipped"], {"features": {"hour": {"column_missing": "stop"}}}, "stop"),
        (["payment", "tipped", "hour"], {}, "stop"),
    ],
)
def test_gate_when_a_column_that_nothing_reads_is_gone_then_warns_unless_the_policy_names_it(
    columns, validate, level, gate, rows, first
):
    data = rows(1).drop(columns="hour")
    if level == "stop":
        verdict = gate.stopped(data, first, validate, columns=columns)
        assert [(found["feature"], found["rule"]) for found in stops(verdict)] == [
            ("hour", "column_missing")
        ]
    else:
        span = gate.run(data, first, validate, columns=columns)
        assert span.found("warn") == [("hour", "column_missing")]


def test_gate_when_rows_are_too_few_then_stops_whatever_is_read(gate, rows):
    verdict = gate.stopped(rows(0), validate={"min_rows": 10**6}, columns=["tipped"])
    assert {found["rule"] for found in stops(verdict)} == {"rows"}


def test_gate_when_eval_lacks_a_column_of_train_then_stops_it(gate, rows):
    verdict = gate.stopped(
        {"train": rows(0), "eval": rows(1).drop(columns="hour"), "test": rows(2)}
    )
    (found,) = stops(verdict)
    assert (found["feature"], found["rule"]) == ("hour", "column_missing")
    assert found["splits"] == ["eval"]


@pytest.mark.parametrize(("present", "stopping"), [(1, []), (100, [("rare", "column_missing")])])
def test_gate_when_eval_lacks_a_column_then_stops_only_if_train_has_it_often_enough_to_wonder(
    gate, rows, present, stopping
):
    train = rows(0, rare=["value"] * present + [None] * (1000 - present))
    data = {"train": train, "eval": rows(1), "test": rows(2)}
    if not stopping:
        assert gate.run(data).found("stop") == []
    else:
        assert {(found["feature"], found["rule"]) for found in stops(gate.stopped(data))} == set(
            stopping
        )


def test_gate_when_the_label_is_missing_in_some_rows_then_stops_even_the_first_data(gate, rows):
    data = rows(0)
    data["tipped"] = data["tipped"].where(data.index % 100 != 0).astype("Float64")
    verdict = gate.stopped(data)
    assert ("tipped", "a label in every row", "missing in 10 of 1000 rows") in [
        (found["feature"], found["expected"], found["found"]) for found in stops(verdict)
    ]


@pytest.mark.parametrize(("value", "text"), [(1, "1 in every row"), ("yes", "yes in every row")])
def test_gate_when_the_label_never_changes_then_stops_it(gate, rows, value, text):
    (found,) = stops(gate.stopped(rows(0, tipped=value)))
    assert (found["rule"], found["found"]) == ("label_constant", text)


def test_gate_when_the_label_is_out_of_its_domain_then_stops_whatever_the_fraction(
    gate, rows, first
):
    data = rows(1)
    data.loc[0, "tipped"] = 7
    (found,) = stops(gate.stopped(data, first, {"new_category_fraction": 1.0}))
    assert (found["feature"], found["rule"]) == ("tipped", "out_of_range")
    assert found["expected"] == "0 to 1"


def test_gate_when_a_split_has_fewer_rows_than_asked_then_stops_it(gate, rows):
    found = stops(gate.stopped(rows(0), None, {"min_rows": 200}))
    assert [(one["rule"], one["expected"], one["found"], one["splits"]) for one in found] == [
        ("rows", "200 rows or more", "150", ["eval"]),
        ("rows", "200 rows or more", "150", ["test"]),
    ]


def test_gate_when_a_split_is_empty_then_stops_it_once(gate, rows, first):
    data = {"train": rows(1), "eval": rows(2), "test": rows(3).iloc[:0]}
    (found,) = stops(gate.stopped(data, first))
    assert (found["rule"], found["found"], found["splits"]) == ("rows", "0", ["test"])


def test_gate_when_a_number_is_infinite_then_warns(gate, rows):
    data = rows(0)
    data.loc[3, "fare"] = np.inf
    assert gate.run(data).found("warn") == [("fare", "not_finite")]


def test_gate_when_stopped_then_the_error_names_features_and_rules_and_no_verdict_is_left(
    gate, rows, first
):
    data = rows(1, hour="noon").drop(columns="fare")
    with pytest.raises(AnomaliesFound, match="2 anomalies stop the run: ") as raised:
        gate.run(data, first)
    assert "hour: type_changed" in str(raised.value)
    assert "fare: column_missing" in str(raised.value)
    written = [path.parent.name for path in gate.verdicts.glob("*/verdict.json")]
    assert written == [str(first.output.id)]


def test_gate_when_it_lets_data_through_then_says_which_statistics_and_schema(first):
    output = first.output
    assert output.get_int_custom_property("statistics_id") == first.statistics.id
    assert output.get_int_custom_property("schema_id") == first.schema.id
    assert output.get_string_custom_property("scope") == "all"
    assert not output.get_string_custom_property("accepted_by")


@pytest.mark.parametrize(
    ("validate", "level"),
    [
        ({}, "stop"),
        ({"policy": {"column_missing": "warn"}}, "warn"),
        ({"policy": {"column_missing": "pass"}}, "pass"),
        ({"policy": {"all": "warn"}}, "warn"),
        ({"policy": {"all": "pass", "column_missing": "stop"}}, "stop"),
        ({"policy": {"column_missing": "stop", "schema_missing_column": "warn"}}, "warn"),
        ({"features": {"hour": {"column_missing": "warn"}}}, "warn"),
        ({"features": {"hour": {"all": "pass"}}, "policy": {"column_missing": "stop"}}, "pass"),
        ({"features": {"fare": {"column_missing": "warn"}}}, "stop"),
    ],
)
def test_gate_when_a_policy_names_it_then_an_anomaly_has_that_level(
    gate, rows, first, validate, level
):
    data = rows(1).drop(columns="hour")
    if level == "stop":
        assert [found["feature"] for found in stops(gate.stopped(data, first, validate))] == [
            "hour"
        ]
    else:
        assert gate.run(data, first, validate).found(level) == [("hour", "column_missing")]


@pytest.mark.parametrize(
    ("column", "validate"),
    [("payment", {"new_category_fraction": 0.02}), ("size", {"missing_fraction": 0.02})],
)
def test_gate_when_no_more_rows_are_at_fault_than_allowed_then_warns(
    gate, rows, first, column, validate
):
    data = rows(1)
    data.loc[data.index % 100 == 0, column] = {"payment": "voucher", "size": np.nan}[column]
    assert [found[0] for found in gate.run(data, first, validate).found("warn")] == [column]
    assert [found["feature"] for found in stops(gate.stopped(data, first))] == [column]


def test_gate_when_anomalies_are_accepted_then_lets_them_through_and_says_by_whom_and_why(
    gate, rows, first
):
    span = gate.run(rows(1).drop(columns="hour"), first, why="the sensor is gone")
    assert span.found("stop") == [("hour", "column_missing")]
    assert span.verdict["acceptance"] == {
        "by": "ada@lab",
        "why": "the sensor is gone",
        "at": "2026-01-01T00:00:02+00:00",
        "run_id": "2",
    }
    assert span.output.get_string_custom_property("accepted_by") == "ada@lab"
    assert span.output.get_string_custom_property("accepted_why") == "the sensor is gone"


def test_gate_when_accepted_data_come_again_without_a_word_then_the_acceptance_holds(
    gate, rows, first
):
    data = rows(1).drop(columns="hour")
    accepted = gate.run(data, first, why="the sensor is gone")
    again = gate.run(data, first)
    assert again.verdict["acceptance"] == accepted.verdict["acceptance"]


@pytest.mark.parametrize("change", ["other rows", "one more anomaly"])
def test_gate_when_an_acceptance_was_of_something_else_then_stops(gate, rows, first, change):
    data = rows(1).drop(columns="hour")
    gate.run(data, first, why="the sensor is gone")
    other = rows(2).drop(columns="hour") if change == "other rows" else data.drop(columns="fare")
    gate.stopped(other, first)


def test_gate_when_accepted_data_came_before_then_the_next_are_held_to_them(gate, rows, first):
    accepted = gate.run(rows(1).drop(columns="hour"), first, why="the sensor is gone")
    assert gate.run(rows(2).drop(columns="hour"), accepted).found() == []
    back = gate.run(rows(3), accepted)
    assert back.found("warn") == [("hour", "column_new")]


def test_gate_when_nothing_stops_then_an_acceptance_is_not_kept(gate, rows, first):
    assert gate.run(rows(1), first, why="to be safe").verdict["acceptance"] is None


def test_gate_when_the_schema_is_reviewed_then_holds_data_to_it_and_not_to_the_previous_one(
    gate, rows, first, statistics_of
):
    import tensorflow_data_validation as tfdv

    reviewed = tfdv.infer_schema(statistics_of(rows(0).drop(columns="hour")))
    without = gate.run(rows(1).drop(columns="hour"), first, reviewed=reviewed)
    assert without.found() == []
    found = gate.stopped(rows(1, payment="voucher"), first, reviewed=reviewed)
    assert {(one["feature"], one["rule"], one["against"]) for one in stops(found)} == {
        ("payment", "new_category", "schema file"),
        ("payment", "drift", "previous data"),
    }


def test_gate_when_a_schema_says_that_a_feature_is_for_serving_alone_then_training_may_lack_it(
    gate, rows, statistics_of
):
    import tensorflow_data_validation as tfdv

    reviewed = tfdv.infer_schema(statistics_of(rows(0)))
    reviewed.default_environment.extend(["TRAINING", "SERVING"])
    tfdv.get_feature(reviewed, "hour").not_in_environment.append("TRAINING")
    assert gate.run(rows(1).drop(columns="hour"), reviewed=reviewed).found() == []


def test_gate_when_the_task_cannot_read_a_column_then_fails_and_leaves_no_verdict(gate, rows):
    features = {"payment": {"kind": "numeric"}, "tip": {"kind": "numeric"}}
    with pytest.raises(DataError) as raised:
        gate.run(rows(0), features=features)
    assert str(raised.value).splitlines() == [
        "task.options.features.payment.kind: found 'numeric' for a column of texts; "
        "allowed: categorical, text or date",
        "task.options.features.tip: found no column of this name; "
        "allowed: fare, hour, key, payment, size",
    ]
    assert list(gate.verdicts.glob("*/*")) == []


def test_gate_when_a_column_has_become_what_the_task_cannot_read_then_tells_of_the_change(
    gate, rows
):
    features = {"hour": {"kind": "numeric"}}
    first = gate.run(rows(0), features=features)
    data = rows(1, hour=rows(1)["hour"].astype(str))
    (found,) = stops(gate.stopped(data, first, features=features))
    assert (found["feature"], found["rule"]) == ("hour", "type_changed")


def test_verdict_when_written_then_is_plain_json(first):
    text = json.dumps(first.verdict, allow_nan=False)
    assert json.loads(text) == first.verdict
