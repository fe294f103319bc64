"""The `serve` section refuses what TF Serving would refuse, before a run starts."""

import pytest
from pydantic import ValidationError

from serving.config import BatchingConfig, ServeConfig


def test_batching_config_when_nothing_is_set_then_any_size_up_to_the_largest_is_allowed():
    config = BatchingConfig()
    assert config.allowed_batch_sizes == []
    assert config.max_batch_size > 0


@pytest.mark.parametrize("sizes", [[8], [1, 8], [1, 2, 4, 8]])
def test_allowed_batch_sizes_when_increasing_up_to_the_largest_then_are_kept(sizes):
    config = BatchingConfig(max_batch_size=8, allowed_batch_sizes=sizes)
    assert config.allowed_batch_sizes == sizes


@pytest.mark.parametrize("sizes", [[4, 2, 8], [8, 4], [4, 4, 8]])
def test_allowed_batch_sizes_when_not_increasing_then_are_refused(sizes):
    with pytest.raises(ValidationError, match="allowed: positive sizes in increasing order"):
        BatchingConfig(max_batch_size=8, allowed_batch_sizes=sizes)


@pytest.mark.parametrize("sizes", [[0, 8], [-1, 8]])
def test_allowed_batch_sizes_when_not_positive_then_are_refused(sizes):
    with pytest.raises(ValidationError, match="allowed: positive sizes in increasing order"):
        BatchingConfig(max_batch_size=8, allowed_batch_sizes=sizes)


@pytest.mark.parametrize("sizes", [[1, 2, 4], [1, 16]])
def test_allowed_batch_sizes_when_last_is_not_the_largest_then_says_found_and_allowed(sizes):
    with pytest.raises(ValidationError) as error:
        BatchingConfig(max_batch_size=8, allowed_batch_sizes=sizes)
    message = str(error.value)
    assert f"allowed_batch_sizes: found {sizes}" in message
    assert "allowed: the last one equal to max_batch_size (8)" in message


@pytest.mark.parametrize("key", ["max_batch_size", "max_enqueued_batches", "num_batch_threads"])
@pytest.mark.parametrize("value", [0, -1])
def test_batching_config_when_a_count_is_not_positive_then_is_refused(key, value):
    with pytest.raises(ValidationError, match=key):
        BatchingConfig(**{key: value})


def test_batch_timeout_when_zero_then_is_allowed_and_when_negative_then_is_refused():
    assert BatchingConfig(batch_timeout_micros=0).batch_timeout_micros == 0
    with pytest.raises(ValidationError, match="batch_timeout_micros"):
        BatchingConfig(batch_timeout_micros=-1)


@pytest.mark.parametrize("section", [BatchingConfig, ServeConfig])
def test_config_when_a_key_is_unknown_then_is_refused_by_name(section):
    with pytest.raises(ValidationError, match="max_batchsize"):
        section(max_batchsize=8)


@pytest.mark.parametrize("value", ["8", 8.0, True])
def test_config_when_a_number_is_of_another_type_then_is_not_converted(value):
    with pytest.raises(ValidationError, match="max_batch_size"):
        BatchingConfig(max_batch_size=value)


def test_config_when_made_then_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        ServeConfig().keep_versions = 1


@pytest.mark.parametrize("name", ["digits", "digits-v2", "my.model_1", "7"])
def test_model_name_when_it_is_a_plain_folder_name_then_is_kept(name):
    assert ServeConfig(model_name=name).model_name == name


@pytest.mark.parametrize("name", ["", ".hidden", "-x", "_x", "a/b", "../a", "a b", "a\n", "modèle"])
def test_model_name_when_it_could_leave_or_hide_in_the_folder_then_is_refused(name):
    with pytest.raises(ValidationError, match="model_name"):
        ServeConfig(model_name=name)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("keep_versions", 0),
        ("tolerance", 0.0),
        ("tolerance", -1e-6),
        ("root", ""),
        ("push_to", "gold"),
        ("model_config_file_poll_wait_seconds", -1.0),
    ],
)
def test_serve_config_when_a_value_is_out_of_range_then_is_refused(key, value):
    with pytest.raises(ValidationError, match=key):
        ServeConfig(**{key: value})


def test_serve_config_when_written_as_json_then_reads_back_the_same():
    config = ServeConfig(
        model_name="digits",
        keep_versions=2,
        batching=BatchingConfig(max_batch_size=8, allowed_batch_sizes=[1, 8]),
    )
    assert ServeConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize(
    ("values", "size"),
    [
        ({}, 8),
        ({"max_execution_batch_size": 4}, 8),
        ({"max_execution_batch_size": 4, "enable_large_batch_splitting": True}, 4),
        ({"enable_large_batch_splitting": True}, 8),
    ],
    ids=["not set", "without splitting", "splitting", "splitting without a size"],
)
def test_execution_batch_size_when_requests_are_split_then_is_that_of_the_parts(values, size):
    assert BatchingConfig(max_batch_size=8, **values).execution_batch_size == size


def test_max_execution_batch_size_when_larger_than_a_request_then_says_found_and_allowed():
    with pytest.raises(ValidationError, match=r"found 9; allowed: at most max_batch_size \(8\)"):
        BatchingConfig(max_batch_size=8, max_execution_batch_size=9)
