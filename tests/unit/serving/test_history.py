"""The history tells what was done, and never what was not."""

import json

import pytest

from serving.history import (
    CHANGED,
    DONE,
    NO_EFFECT,
    PROMOTE,
    PUSH,
    ROLLBACK,
    Entry,
    outcomes,
    read_history,
    record,
    was_labelled,
    withdrawn,
)


def stable(version):
    return {"stable": version}


def entry(operation, before, after):
    return Entry("2026-01-01T00:00:00+00:00", operation, after, "me", stable(before), stable(after))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "digits.history.jsonl"


def test_record_when_read_then_is_what_was_recorded(path, monkeypatch):
    monkeypatch.setenv("LOGNAME", "ada")
    record(path, PUSH, 1, {}, stable(1))
    record(path, PROMOTE, 2, stable(1), {"stable": 1, "canary": 2})
    first, second = read_history(path)
    assert (first.operation, first.version, first.before, first.after) == (PUSH, 1, {}, stable(1))
    assert (second.operation, second.after) == (PROMOTE, {"stable": 1, "canary": 2})
    assert first.user == second.user == "ada"
    assert first.time.endswith("+00:00")
    assert all(json.loads(line) for line in path.read_text().splitlines())


def test_record_when_the_user_has_no_name_then_is_the_number(path, monkeypatch):
    def unknown():
        raise KeyError("getpwuid(): uid not found: 10001")

    monkeypatch.setattr("serving.history.getpass.getuser", unknown)
    monkeypatch.setattr("serving.history.os.getuid", lambda: 10001)
    record(path, PUSH, 1, {}, stable(1))
    assert read_history(path)[0].user == "10001"


def test_history_when_there_is_no_file_then_is_empty(path):
    assert read_history(path) == []


@pytest.mark.parametrize("cut", range(1, 40, 6))
def test_history_when_a_write_was_cut_short_then_the_others_are_whole(path, cut):
    record(path, PUSH, 1, {}, stable(1))
    whole = path.read_bytes()
    record(path, PUSH, 2, stable(1), stable(2))
    path.write_bytes(path.read_bytes()[: len(whole) + cut])
    assert [found.version for found in read_history(path)] == [1]

    record(path, PUSH, 3, stable(1), stable(3))
    assert [found.version for found in read_history(path)] == [1, 3]
    assert path.read_bytes().startswith(whole), "nothing that was there is written again"


@pytest.mark.parametrize("line", ["[]", "7", '"x"', '{"time": 1}', "{}", b"\xff\xfe{", "null"])
def test_history_when_a_line_is_none_of_ours_then_it_is_passed_by(path, line):
    record(path, PUSH, 1, {}, stable(1))
    with path.open("ab") as file:
        file.write((line if isinstance(line, bytes) else line.encode()) + b"\n")
    record(path, PUSH, 2, stable(1), stable(2))
    assert [found.version for found in read_history(path)] == [1, 2]


def test_outcomes_when_the_next_found_the_labels_as_set_then_was_done():
    entries = [entry(PUSH, 1, 2), entry(PUSH, 2, 3)]
    assert outcomes(entries, stable(3)) == [DONE, DONE]


def test_outcomes_when_the_labels_stayed_then_had_no_effect():
    entries = [entry(PUSH, 1, 2), entry(PUSH, 1, 2), entry(ROLLBACK, 2, 1)]
    assert outcomes(entries, stable(2)) == [NO_EFFECT, DONE, NO_EFFECT]


def test_outcomes_when_somebody_edited_the_labels_then_says_so():
    assert outcomes([entry(PUSH, 1, 2)], stable(7)) == [CHANGED]


def test_was_labelled_when_an_operation_found_a_label_there_then_is_true():
    entries = [entry(PUSH, 1, 2), entry(ROLLBACK, 2, 1)]
    assert was_labelled(entries, 2)
    assert not was_labelled([entry(PUSH, 1, 2)], 2), "a killed push says what it was about to do"


@pytest.mark.parametrize(
    ("entries", "now", "expected"),
    [
        pytest.param([entry(PUSH, 1, 2), entry(ROLLBACK, 2, 1)], 1, {2}, id="one"),
        pytest.param([entry(ROLLBACK, 5, 2)], 2, {3, 4, 5}, id="several at once"),
        pytest.param([entry(ROLLBACK, 5, 2), entry(PUSH, 2, 6)], 6, {3, 4, 5}, id="push"),
        pytest.param([entry(ROLLBACK, 5, 2), entry(PROMOTE, 2, 4)], 4, {3, 5}, id="promoted"),
        pytest.param([entry(ROLLBACK, 5, 2)], 5, set(), id="killed before"),
        pytest.param([entry(PROMOTE, 5, 2)], 2, set(), id="a promotion withdraws nothing"),
    ],
)
def test_withdrawn_when_a_rollback_went_back_over_versions_then_are_those(entries, now, expected):
    assert withdrawn(entries, stable(now), range(1, 7)) == expected
