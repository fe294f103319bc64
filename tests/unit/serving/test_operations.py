"""Rollback and promotion: what they change, and what they refuse."""

import shutil

import pytest
from google.protobuf import text_format

from serving.history import DONE, history_file, outcomes, read_history
from serving.inventory import default_warning
from serving.operations import OperationRefused, promote, rollback
from serving.rollout import read_served
from serving.text_configs import parse_models


def test_rollback_when_no_version_is_named_then_goes_back_one_and_serves_that_alone(
    three, base, state, waits
):
    moved = rollback(base)
    assert (moved.before, moved.after, moved.served) == ({"stable": 3}, {"stable": 2}, [2])
    assert state() == ({"stable": 2}, [2])
    assert waits == [], "it was loaded already"


def test_rollback_when_done_again_then_goes_back_further_until_there_is_none(
    three, base, state, waits
):
    rollback(base)
    rollback(base)
    assert state() == ({"stable": 1}, [1])
    with pytest.raises(OperationRefused) as refused:
        rollback(base)
    assert refused.value.argument == "VERSION"
    assert refused.value.found == "none before 1 that was not rolled back"
    assert refused.value.allowed == "there is none"


def test_rollback_when_a_version_is_named_then_goes_there_and_twice_is_once(
    three, base, root, state, waits, snapshot
):
    rollback(base, 1)
    assert state() == ({"stable": 1}, [1])
    before = snapshot(root)
    moved = rollback(base, 1)
    assert moved.before == moved.after == {"stable": 1}
    assert snapshot(root) == before


def test_rollback_when_the_versions_below_were_rolled_back_then_passes_them_by(
    push_version, base, state, waits
):
    for version in (1, 2, 3):
        push_version(version)
    rollback(base, 1)
    push_version(4)
    rollback(base)
    assert state() == ({"stable": 1}, [1])


def test_rollback_when_only_withdrawn_versions_are_older_then_wants_their_number(
    push_version, base, waits
):
    for version in (1, 2):
        push_version(version)
    rollback(base)
    push_version(3)
    shutil.rmtree(base / "1")
    with pytest.raises(OperationRefused, match="by its number") as refused:
        rollback(base)
    assert refused.value.allowed == "2, by its number"
    assert rollback(base, 2).after == {"stable": 2}


def test_rollback_when_the_target_is_not_loaded_then_it_is_served_before_the_label_moves(
    three, base, root, waits, monkeypatch
):
    during = []

    def look(seconds):
        served = read_served(root, "digits")
        during.append((seconds, served.labels, served.versions))

    monkeypatch.setattr("serving.rollout.time.sleep", look)
    rollback(base, 1, poll_seconds=3.0)
    assert during == [(6.0, {"stable": 3}, [1, 2, 3])]


def test_rollback_when_canary_is_on_the_same_version_then_goes_along(three, base, state, waits):
    promote(base, 3, "canary")
    rollback(base)
    assert state() == ({"stable": 2, "canary": 2}, [2])


def test_rollback_when_canary_is_newer_then_stays_and_the_default_is_told(
    push_version, base, state, waits
):
    push_version(1), push_version(2), push_version(3, push_to="canary")
    moved = rollback(base)
    assert state() == ({"stable": 1, "canary": 3}, [1, 3])
    warning = default_warning(moved.after, moved.served)
    assert "largest version that is served, 3 (canary)" in warning
    assert "ask for the label stable" in warning


def test_rollback_when_labels_were_never_set_then_starts_from_what_is_served(
    root, base, write_plain_model, state, waits
):
    for version in (1, 2):
        write_plain_model(base / str(version), str(version))
    (root / "models.config").write_text(
        f'model_config_list {{ config {{ name: "digits" base_path: "{base}" '
        'model_platform: "tensorflow" } }'
    )
    moved = rollback(base)
    assert (moved.before, moved.after, moved.served) == ({}, {"stable": 1}, [1])


@pytest.mark.parametrize(
    ("version", "found", "allowed"),
    [
        (7, "7, no version in ", "older than 3, the stable one: 1, 2"),
        (4, "4, which holds no SavedModel", "older than 3, the stable one: 1, 2"),
        (5, "5", "older than 3, the stable one: 1, 2; for a newer one: tapeline promote "),
    ],
)
def test_rollback_when_the_version_cannot_be_served_then_refuses_and_changes_nothing(
    three, push_version, base, root, version, found, allowed, waits, snapshot, write_plain_model
):
    (base / "4").mkdir()
    write_plain_model(base / "5", "5")
    before = snapshot(root)
    with pytest.raises(OperationRefused) as refused:
        rollback(base, version)
    assert refused.value.found.startswith(found)
    assert refused.value.allowed.startswith(allowed)
    assert snapshot(root) == before


def test_promote_when_a_canary_is_named_then_both_are_served_and_stable_stays(
    three, base, state, waits
):
    moved = promote(base, 1, "canary")
    assert moved.after == {"stable": 3, "canary": 1}
    assert state() == ({"stable": 3, "canary": 1}, [1, 3])
    assert waits == [], "a label that is new may be put where nothing is loaded yet"


def test_promote_when_the_canary_becomes_stable_then_the_newest_are_followed_again(
    push_version, base, root, state, waits
):
    push_version(1), push_version(2), push_version(3, push_to="canary")
    assert state() == ({"stable": 2, "canary": 3}, [2, 3])
    promote(base, 3, "stable")
    assert state() == ({"stable": 3, "canary": 3}, [2, 3])
    assert "latest" in (root / "models.config").read_text()


def test_promote_when_done_twice_then_the_second_changes_nothing(
    three, base, root, waits, snapshot
):
    promote(base, 2, "canary")
    before = snapshot(root)
    promote(base, 2, "canary")
    assert snapshot(root) == before


def test_promote_when_a_version_was_rolled_back_then_takes_it_up_again(three, base, state, waits):
    rollback(base)
    promote(base, 3, "stable", poll_seconds=1.0)
    assert state() == ({"stable": 3}, [2, 3])
    assert waits == [2.0]
    rollback(base)
    assert state() == ({"stable": 2}, [2])


@pytest.mark.parametrize(
    ("version", "label", "argument", "found", "allowed"),
    [
        (9, "canary", "VERSION", "9, no version in ", "1, 2, 3"),
        (4, "stable", "VERSION", "4, which holds no SavedModel", "1, 2, 3"),
        (3, "gold", "--label", "gold", "stable, canary"),
    ],
)
def test_promote_when_it_cannot_be_then_refuses_and_changes_nothing(
    three, base, root, version, label, argument, found, allowed, waits, snapshot
):
    (base / "4").mkdir()
    before = snapshot(root)
    with pytest.raises(OperationRefused) as refused:
        promote(base, version, label)
    assert refused.value.argument == argument
    assert refused.value.found.startswith(found)
    assert refused.value.allowed == allowed
    assert snapshot(root) == before


@pytest.mark.parametrize(
    "operation", [rollback, lambda base: promote(base, 1, "stable")], ids=["rollback", "promote"]
)
def test_operation_when_models_config_does_not_name_the_model_then_refuses(three, root, operation):
    (root / "stray" / "1").mkdir(parents=True)
    with pytest.raises(OperationRefused, match=r"models\.config does not name"):
        operation(root / "stray")


def test_operation_when_models_config_is_broken_then_raises_and_leaves_it(three, base, root):
    (root / "models.config").write_text("model_config_list {")
    with pytest.raises(text_format.ParseError):
        rollback(base)
    assert (root / "models.config").read_text() == "model_config_list {"


def test_operation_when_other_models_and_fields_are_there_then_they_stay(
    three, push_version, base, root, waits
):
    push_version(1, model_name="other")
    config = parse_models((root / "models.config").read_text())
    ours, other = config.model_config_list.config
    ours.version_labels["shadow"] = 1
    ours.logging_config.sampling_config.sampling_rate = 0.5
    other.version_labels["gold"] = 1
    (root / "models.config").write_text(text_format.MessageToString(config))

    rollback(base)

    after = parse_models((root / "models.config").read_text())
    changed, same = after.model_config_list.config
    assert same == other
    assert changed.logging_config == ours.logging_config
    assert dict(changed.version_labels) == {"stable": 2, "shadow": 1}
    assert sorted(changed.model_version_policy.specific.versions) == [1, 2]


def test_operation_when_done_then_is_recorded_and_done(three, base, root, state, waits):
    rollback(base)
    promote(base, 3, "canary")
    entries = read_history(history_file(root, "digits"))
    assert [(found.operation, found.version) for found in entries] == [
        ("push", 1), ("push", 2), ("push", 3), ("rollback", 2), ("promote", 3),
    ]  # fmt: skip
    assert set(outcomes(entries, state()[0])) == {DONE}
    assert entries[3].before == {"stable": 3}
    assert entries[3].after == {"stable": 2}
