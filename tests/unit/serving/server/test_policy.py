"""Which versions are wanted and what is done next: TF Serving's rules, case by case."""

from pathlib import Path

import pytest
from google.protobuf import text_format
from grpc import StatusCode
from tensorflow_serving.config import model_server_config_pb2

from serving.server.errors import ServingError
from serving.server.policy import (
    Action,
    Snapshot,
    aspired_versions,
    check_config,
    folders_by_version,
    next_action,
    version_labels,
    version_number,
)


def config_of(*models):
    """Returns a ModelServerConfig of models in text format."""
    text = "".join(f"config {{ {model} }}\n" for model in models)
    return text_format.Parse(
        f"model_config_list {{ {text} }}", model_server_config_pb2.ModelServerConfig()
    )


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("1", 1),
        ("007", 7),
        ("0", 0),
        ("1700000000", 1700000000),
        ("9223372036854775807", 2**63 - 1),
        ("9223372036854775808", None),
        ("v1", None),
        ("1.0", None),
        ("1_000", None),
        ("", None),
        (".tapeline-staging-1", None),
        ("٣", None),
        ("1e3", None),
    ],
)
def test_version_number_when_given_a_folders_name_then_reads_it_as_tf_serving_does(name, version):
    assert version_number(name) == version


def test_folders_by_version_when_two_are_of_one_version_then_the_last_by_name_counts():
    folders = folders_by_version(Path("/m"), ["7", "007", "notes", "12"])
    assert folders == {7: Path("/m/7"), 12: Path("/m/12")}


@pytest.mark.parametrize(
    ("policy", "present", "aspired"),
    [
        ("", [1, 3, 2], {3}),
        ("latest {}", [1, 2, 3], {3}),
        ("latest { num_versions: 0 }", [1, 2, 3], {3}),
        ("latest { num_versions: 2 }", [1, 10, 9], {9, 10}),
        ("latest { num_versions: 5 }", [1, 2], {1, 2}),
        ("all {}", [1, 2, 3], {1, 2, 3}),
        ("specific { versions: 1 versions: 3 }", [1, 2, 3], {1, 3}),
        ("specific { versions: 1 versions: 9 }", [1, 2], {1}),
        ("specific {}", [1, 2], set()),
        ("latest {}", [], set()),
        ("all {}", [], set()),
    ],
)
def test_aspired_versions_when_some_are_present_then_are_those_of_the_policy(
    policy, present, aspired
):
    model = model_server_config_pb2.ModelConfig()
    text_format.Parse(f"model_version_policy {{ {policy} }}", model)
    assert aspired_versions(model.model_version_policy, present) == aspired


def new(version):
    return Snapshot(version, is_aspired=True, is_new=True)


def ready(version, is_aspired=True):
    return Snapshot(version, is_aspired, is_ready=True)


def busy(version, is_aspired=True):
    """A version that loads, unloads or has ended."""
    return Snapshot(version, is_aspired)


@pytest.mark.parametrize(
    ("versions", "action"),
    [
        pytest.param([], None, id="nothing there"),
        pytest.param([ready(1)], None, id="all is well"),
        pytest.param([new(1)], Action("load", 1), id="the first"),
        pytest.param([new(1), new(3), new(2)], Action("load", 3), id="the newest first"),
        pytest.param([ready(1, False), new(2)], Action("load", 2), id="new before old goes"),
        pytest.param([ready(1, False), busy(2)], None, id="old stays while the new loads"),
        pytest.param([ready(1, False), ready(2)], Action("unload", 1), id="then old goes"),
        pytest.param([ready(1, False)], Action("unload", 1), id="none is wanted"),
        pytest.param(
            [ready(1, False), ready(2, False), busy(3)], Action("unload", 1), id="one old is enough"
        ),
        pytest.param(
            [ready(1, False), ready(3), new(2)], Action("unload", 1), id="room before more"
        ),
        pytest.param([ready(2, False), new(1)], Action("load", 1), id="a rollback loads first"),
        pytest.param([ready(2, False), ready(1)], Action("unload", 2), id="a rollback unloads"),
        pytest.param([busy(1, False), ready(2)], None, id="what unloads is left alone"),
        pytest.param([ready(1), ready(2)], None, id="two are wanted"),
    ],
)
def test_next_action_when_versions_are_thus_then_availability_is_kept(versions, action):
    assert next_action(versions) == action
    assert next_action(versions[::-1]) == action


GOOD = 'name: "m" base_path: "/m" model_platform: "tensorflow"'


@pytest.mark.parametrize(
    "models",
    [[], [GOOD], [GOOD, GOOD.replace('"m"', '"n"')], ['name: "m" base_path: "/m" model_type: 1']],
    ids=["none", "one", "two of one base", "the old type field"],
)
def test_check_config_when_it_is_sound_then_returns(models):
    check_config(config_of(*models))


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ([GOOD, GOOD], "Illegal to list model m multiple times in config list"),
        (['base_path: "/m" model_platform: "tensorflow"'], "without a name"),
        (['name: "m" model_platform: "tensorflow"'], "absolute path or URI; got base_path()="),
        (
            ['name: "m" base_path: "models/m" model_platform: "tensorflow"'],
            "Expected model m to have an absolute path or URI; got base_path()=models/m",
        ),
        (['name: "m" base_path: "/m"'], "Illegal setting neither"),
        ([f"{GOOD} model_type: 1"], "Illegal setting both"),
        (['name: "m" base_path: "/m" model_type: 2'], "not supported"),
        (
            ['name: "m" base_path: "/m" model_platform: "pytorch"'],
            "Model m requests unsupported platform pytorch",
        ),
    ],
    ids=[
        "a name twice",
        "no name",
        "no path",
        "a relative path",
        "no platform",
        "both",
        "another type",
        "another platform",
    ],
)
def test_check_config_when_a_rule_is_broken_then_says_which(models, message):
    with pytest.raises(ServingError) as error:
        check_config(config_of(*models))
    assert error.value.code is StatusCode.INVALID_ARGUMENT
    assert message in error.value.message


def test_check_config_when_it_is_custom_then_is_unimplemented():
    config = model_server_config_pb2.ModelServerConfig()
    config.custom_model_config.type_url = "type.googleapis.com/other"
    with pytest.raises(ServingError) as error:
        check_config(config)
    assert error.value.code is StatusCode.UNIMPLEMENTED


LABELED = GOOD + ' version_labels { key: "stable" value: 2 }'


@pytest.mark.parametrize(
    ("available", "assigned", "allow_unavailable"),
    [
        pytest.param({2}, {}, False, id="new on an available one"),
        pytest.param({1, 2}, {"stable": 1}, False, id="moved to an available one"),
        pytest.param({1, 2}, {"stable": 1}, True, id="moved, allowed or not"),
        pytest.param(set(), {}, True, id="new on one to come, if allowed"),
        pytest.param(set(), {"stable": 2}, True, id="stays on one to come, if allowed"),
    ],
)
def test_version_labels_when_they_may_stand_there_then_are_the_models_labels(
    available, assigned, allow_unavailable
):
    labels = version_labels(
        config_of(LABELED), {"m": available}, {"m": assigned}, allow_unavailable
    )
    assert labels == {"m": {"stable": 2}}


@pytest.mark.parametrize(
    ("available", "assigned", "allow_unavailable"),
    [
        pytest.param({1}, {}, False, id="new on one that is not available"),
        pytest.param({1}, {"stable": 1}, False, id="moved to one that is not available"),
        pytest.param({1}, {"stable": 1}, True, id="moved, which is never allowed"),
        pytest.param(set(), {"stable": 2}, False, id="stays where it cannot answer"),
    ],
)
def test_version_labels_when_a_version_cannot_answer_then_are_refused(
    available, assigned, allow_unavailable
):
    with pytest.raises(ServingError) as error:
        version_labels(config_of(LABELED), {"m": available}, {"m": assigned}, allow_unavailable)
    assert error.value.code is StatusCode.FAILED_PRECONDITION
    assert error.value.message == (
        "Request to assign label to version 2 of model m, which is not currently available for "
        "inference"
    )


def test_version_labels_when_a_model_is_not_there_yet_then_other_models_versions_do_not_count():
    with pytest.raises(ServingError, match="version 2 of model m"):
        version_labels(config_of(LABELED), {"other": {2}}, {}, False)
