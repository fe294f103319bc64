"""Which label a push moves, which it leaves, and which versions it may remove."""

import os
import shutil

from google.protobuf import text_format

from serving.operations import promote, rollback
from serving.text_configs import parse_models


def test_push_when_others_came_before_then_is_stable_and_the_one_before_stays_served(
    three, state, waits
):
    assert state() == ({"stable": 3}, [2, 3])


def test_push_when_it_comes_after_a_rollback_then_takes_over(push_version, base, state, waits):
    push_version(1), push_version(2)
    rollback(base)
    push_version(3)
    assert state() == ({"stable": 3}, [1, 3])
    assert waits == [2.0], "served beside the stable one before the label moved"


def test_push_when_the_rolled_back_model_comes_again_then_stays_rolled_back(
    push_version, base, root, state, waits, snapshot
):
    push_version(1), push_version(2)
    rollback(base)
    before = snapshot(root)
    again = push_version(2)
    assert (again.is_new, again.folder.name) == (False, "2")
    assert snapshot(root) == before


def test_push_when_the_canary_comes_again_to_stable_then_is_still_a_canary(
    push_version, root, state, waits
):
    push_version(1), push_version(2, push_to="canary")
    push_version(2, push_to="stable")
    assert state() == ({"stable": 1, "canary": 2}, [1, 2])


def test_push_when_to_canary_then_stable_stays_and_the_first_is_stable(push_version, state, waits):
    push_version(1, push_to="canary")
    assert state() == ({"stable": 1}, [1])
    push_version(2, push_to="canary")
    assert state() == ({"stable": 1, "canary": 2}, [1, 2])
    push_version(3, push_to="canary")
    assert state() == ({"stable": 1, "canary": 3}, [1, 3])


def test_push_when_the_stable_version_is_gone_then_the_same_model_is_labelled(
    push_version, base, state, waits
):
    push_version(1), push_version(2)
    rollback(base)
    shutil.rmtree(base / "1")
    push_version(2)
    assert state() == ({"stable": 2}, [2])


def test_push_when_old_versions_are_labelled_then_they_are_kept(push_version, base, waits):
    for version in (1, 2):
        push_version(version, keep_versions=1)
    promote(base, 1, "canary")
    for version in (3, 4, 5):
        push_version(version, keep_versions=1)
    # 4 had the label until the push_version: a server may still be loading 5.
    assert sorted(int(name) for name in os.listdir(base)) == [1, 4, 5]


def test_push_when_another_entry_serves_the_folder_then_its_versions_are_kept(
    push_version, base, root, waits
):
    push_version(1)
    config = parse_models((root / "models.config").read_text())
    pinned = config.model_config_list.config.add(name="pinned", base_path=str(base))
    pinned.model_platform = "tensorflow"
    pinned.model_version_policy.specific.versions.append(1)
    (root / "models.config").write_text(text_format.MessageToString(config))
    for version in (2, 3, 4):
        push_version(version, keep_versions=1)
    assert sorted(int(name) for name in os.listdir(base)) == [1, 3, 4]


def test_push_when_every_version_was_removed_then_their_numbers_are_not_used_again(
    push_version, base, waits
):
    push_version(50)
    shutil.rmtree(base / "50")
    (base.parent / "models.config").unlink()
    assert push_version(7).folder.name == "51"
