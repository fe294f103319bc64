"""Requests become one batch and answers come apart again, row for row."""

import numpy as np
import pytest
from grpc import StatusCode

from serving.server.batch_arrays import padded_size, split, stacked
from serving.server.errors import ServingError


@pytest.mark.parametrize(
    ("rows", "allowed", "size"),
    [(3, [], 3), (1, [1, 4, 8], 1), (2, [1, 4, 8], 4), (8, [1, 4, 8], 8), (9, [1, 4, 8], 9)],
)
def test_padded_size_when_sizes_are_allowed_then_is_the_smallest_that_holds_the_rows(
    rows, allowed, size
):
    assert padded_size(rows, allowed) == size


def test_stacked_when_requests_have_several_inputs_then_each_is_stacked_in_order():
    first = [np.array([[1, 2]]), np.array([b"a\0"], object)]
    second = [np.array([[3, 4], [5, 6]]), np.array([b"b", b""], object)]
    numbers, texts = stacked([first, second], 0, pad_variable_length=False)
    np.testing.assert_array_equal(numbers, [[1, 2], [3, 4], [5, 6]])
    assert texts.tolist() == [b"a\0", b"b", b""]


def test_stacked_when_one_request_fills_the_batch_then_it_is_not_copied():
    array = np.ones((2, 3))
    assert stacked([[array]], 0, pad_variable_length=False)[0] is array


def test_stacked_when_rows_are_wanted_then_repeats_the_first_of_the_last_request():
    [batch] = stacked([[np.array([[1.0]])], [np.array([[2.0], [3.0]])]], 2, False)
    np.testing.assert_array_equal(batch, [[1], [2], [3], [2], [2]])


def test_stacked_when_the_last_request_has_no_rows_then_repeats_one_of_another():
    [batch] = stacked([[np.array([[1.0]])], [np.zeros((0, 1))]], 1, False)
    np.testing.assert_array_equal(batch, [[1], [1]])


def test_stacked_when_shapes_vary_then_each_grows_with_its_own_first_value():
    first = np.array([[7, 1]])
    second = np.array([[9], [8]])
    [batch] = stacked([[first], [second]], 0, pad_variable_length=True)
    np.testing.assert_array_equal(batch, [[7, 1], [9, 9], [8, 9]])


def test_stacked_when_several_dimensions_vary_then_all_of_them_grow():
    first = np.full((1, 1, 3), 1)
    second = np.full((1, 2, 1), 2)
    [batch] = stacked([[first], [second]], 1, pad_variable_length=True)
    assert batch.shape == (3, 2, 3)
    np.testing.assert_array_equal(batch[0], np.ones((2, 3)))
    np.testing.assert_array_equal(batch[2], batch[1])


def test_stacked_when_strings_vary_in_length_then_are_padded_with_strings():
    first = np.array([[b"x", b"y"]], object)
    second = np.array([[b"z"]], object)
    [batch] = stacked([[first], [second]], 0, pad_variable_length=True)
    assert batch.tolist() == [[b"x", b"y"], [b"z", b"z"]]


def test_stacked_when_there_is_no_value_to_pad_with_then_is_an_invalid_argument():
    with pytest.raises(ServingError) as error:
        stacked([[np.ones((1, 2))], [np.zeros((1, 0))]], 0, pad_variable_length=True)
    assert error.value.code is StatusCode.INVALID_ARGUMENT


def test_split_when_requests_have_rows_then_each_gets_its_own_and_none_the_padding():
    outputs = [np.arange(6).reshape(6, 1), np.arange(6) * 10]
    answers = split(outputs, [1, 0, 3], 6)
    assert [[part.tolist() for part in answer] for answer in answers] == [
        [[[0]], [0]],
        [[], []],
        [[[1], [2], [3]], [10, 20, 30]],
    ]


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (np.float32(1), "Batched output tensor has 0 dimensions"),
        (np.zeros(3), "0th dimension does not equal the sum"),
    ],
    ids=["a scalar", "other rows"],
)
def test_split_when_an_output_is_no_batch_then_is_a_failed_precondition(output, message):
    with pytest.raises(ServingError, match=message) as error:
        split([np.zeros(2), output], [1, 1], 2)
    assert error.value.code is StatusCode.FAILED_PRECONDITION
