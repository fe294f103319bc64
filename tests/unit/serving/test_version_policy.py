"""The rules of labels and policies, by themselves."""

import pytest
from tensorflow_serving.config import model_server_config_pb2

from serving.version_policy import (
    VersionPolicy,
    labels_after_push,
    labels_after_rollback,
    needs_loading,
    policy_before_new_version,
    policy_for,
)

FOLLOWING = VersionPolicy(latest=2)


def specific(*versions):
    return VersionPolicy(specific=frozenset(versions))


def message():
    return model_server_config_pb2.ModelConfig().model_version_policy


@pytest.mark.parametrize("policy", [FOLLOWING, specific(3, 5), VersionPolicy()], ids=str)
def test_policy_when_written_over_another_then_reads_back_the_same(policy):
    written = message()
    specific(99).write(written)
    policy.write(written)
    assert VersionPolicy.read(written) == policy


def test_policy_when_nothing_is_said_then_is_the_newest_as_with_tf_serving():
    unset = message()
    assert VersionPolicy.read(unset) == VersionPolicy(latest=1)
    unset.latest.num_versions = 0
    assert VersionPolicy.read(unset) == VersionPolicy(latest=1)


@pytest.mark.parametrize(
    ("policy", "served"),
    [
        (VersionPolicy(latest=1), [4]),
        (FOLLOWING, [3, 4]),
        (VersionPolicy(latest=9), [1, 3, 4]),
        (specific(4, 1, 7), [1, 4]),
        (VersionPolicy(), [1, 3, 4]),
    ],
    ids=str,
)
def test_served_when_versions_are_on_disk_then_are_those_of_the_policy(policy, served):
    assert policy.served([1, 3, 4]) == served


@pytest.mark.parametrize(
    ("labels", "served", "present", "expected"),
    [
        pytest.param({"stable": 1}, [], [1], FOLLOWING, id="the first version"),
        pytest.param({"stable": 3}, [2, 3], [1, 2, 3], FOLLOWING, id="pushed"),
        pytest.param({"stable": 3, "canary": 3}, [2, 3], [1, 2, 3], FOLLOWING, id="both on it"),
        pytest.param({"stable": 2}, [2, 3], [1, 2, 3], specific(2), id="rolled back"),
        pytest.param({"stable": 2}, [1, 2, 3], [1, 2, 3], specific(1, 2), id="one below stays"),
        pytest.param({"stable": 4}, [2], [1, 2, 3, 4], specific(2, 4), id="withdrawn between"),
        pytest.param({"stable": 3}, [3], [1, 2, 3], specific(3), id="none below was served"),
        pytest.param(
            {"stable": 2, "canary": 3}, [1, 2, 3], [1, 2, 3], specific(2, 3), id="a canary"
        ),
        pytest.param({"stable": 3, "shadow": 1}, [2, 3], [1, 2, 3], specific(1, 3), id="foreign"),
    ],
)
def test_policy_when_labels_are_set_then_serves_them_and_the_one_to_go_back_to(
    labels, served, present, expected
):
    policy = policy_for(labels, served, present)
    assert policy == expected
    assert set(labels.values()) <= set(policy.served(present))


@pytest.mark.parametrize(
    ("policy", "labels", "present", "expected"),
    [
        (FOLLOWING, {"stable": 3}, [1, 2, 3], FOLLOWING),
        (FOLLOWING, {"stable": 2}, [1, 2, 3], VersionPolicy(latest=3)),
        (VersionPolicy(latest=3), {"stable": 2}, [1, 2, 3, 4], VersionPolicy(latest=4)),
        (VersionPolicy(latest=1), {"stable": 3}, [1, 2, 3], FOLLOWING),
        (specific(1), {"stable": 1}, [1, 2, 3], specific(1)),
        (VersionPolicy(), {"stable": 1}, [1, 2, 3], VersionPolicy()),
        (VersionPolicy(latest=1), {"stable": 9}, [1, 2], VersionPolicy(latest=1)),
    ],
)
def test_policy_when_a_version_is_about_to_come_then_keeps_the_labelled_ones_served(
    policy, labels, present, expected
):
    widened = policy_before_new_version(policy, labels, present)
    assert widened == expected
    labelled = set(labels.values()) & set(policy.served(present))
    assert labelled <= set(widened.served([*present, 10]))


@pytest.mark.parametrize(
    ("labels", "push_to", "expected"),
    [
        ({}, "stable", {"stable": 5}),
        ({}, "canary", {"stable": 5}),
        ({"stable": 4}, "stable", {"stable": 5}),
        ({"stable": 4}, "canary", {"stable": 4, "canary": 5}),
        (
            {"stable": 3, "canary": 4, "shadow": 1},
            "canary",
            {"stable": 3, "canary": 5, "shadow": 1},
        ),
        ({"stable": 3, "canary": 4}, "stable", {"stable": 5, "canary": 4}),
    ],
)
def test_labels_when_a_version_is_pushed_then_only_one_moves(labels, push_to, expected):
    assert labels_after_push(labels, 5, push_to) == expected


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({"stable": 5}, {"stable": 3}),
        ({"stable": 5, "canary": 5}, {"stable": 3, "canary": 3}),
        ({"stable": 5, "canary": 6}, {"stable": 3, "canary": 6}),
        ({"stable": 5, "shadow": 5}, {"stable": 3, "shadow": 5}),
    ],
)
def test_labels_when_rolled_back_then_canary_goes_along_and_foreign_ones_do_not(labels, expected):
    assert labels_after_rollback(labels, 3) == expected


@pytest.mark.parametrize(
    ("before", "after", "served", "expected"),
    [
        ({"stable": 1}, {"stable": 2}, [1, 2], set()),
        ({"stable": 1}, {"stable": 2}, [1], {2}),
        ({}, {"stable": 2}, [], set()),
        ({"stable": 1}, {"stable": 1, "canary": 2}, [1], set()),
        ({"stable": 1, "shadow": 7}, {"stable": 1, "shadow": 7}, [1], set()),
    ],
)
def test_needs_loading_when_a_label_that_is_there_moves_to_what_is_not_loaded_then_names_it(
    before, after, served, expected
):
    assert needs_loading(before, after, served) == expected
