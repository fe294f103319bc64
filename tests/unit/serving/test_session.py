"""A SavedModel runs as TF Serving would run it; a request that does not fit never reaches it."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from serving.session import InvalidModel, InvalidRequest, SavedModelSession


class Scale(tf.Module):
    """Signatures of several kinds over one variable and one table."""

    def __init__(self):
        super().__init__()
        self.weight = tf.Variable([[2.0], [3.0]])
        keys = tf.constant(["low", "high"])
        self.table = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(keys, tf.constant([1, 2], tf.int64)), -1
        )

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, 2], tf.float32, name="x"),
            tf.TensorSpec([None], tf.int32, name="count"),
        ]
    )
    def score(self, x, count):
        return {"score": x @ self.weight, "double": count * 2}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def look_up(self, text):
        return {"rank": self.table.lookup(text), "loud": tf.strings.join([text, "!"])}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.bfloat16, name="x")])
    def brain(self, x):
        return {"y": tf.cast(x * 2, tf.float32)}

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.float32, name="x"),
            tf.TensorSpec([], tf.float32, name="factor"),
        ]
    )
    def scale(self, x, factor):
        return {"y": x * factor}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("session") / "model"
    module = Scale()
    names = ("score", "look_up", "scale", "brain")
    signatures = {name: getattr(module, name) for name in names}
    tf.saved_model.save(module, str(folder), signatures=signatures)
    return folder


@pytest.fixture(scope="module")
def session(folder):
    return SavedModelSession(folder)


def refusal(session, signature, inputs):
    """Returns what the session says about a request that does not fit."""
    with pytest.raises(InvalidRequest) as error:
        session.run(signature, inputs)
    return str(error.value)


def test_signatures_when_the_model_is_loaded_then_are_those_it_was_saved_with(session):
    assert set(session.signatures) == {"score", "look_up", "scale", "brain"}


def test_run_when_given_a_batch_then_answers_with_every_output_of_the_signature(session):
    x = np.array([[1, 10], [2, 20], [3, 30]], np.float32)
    answer = session.run("score", {"x": x, "count": np.array([4, 5, 6], np.int32)})
    assert set(answer) == {"score", "double"}
    np.testing.assert_allclose(answer["score"], [[32], [64], [96]])
    np.testing.assert_array_equal(answer["double"], [8, 10, 12])
    assert (answer["score"].dtype, answer["double"].dtype) == (np.float32, np.int32)


def test_run_when_given_plain_lists_then_takes_them_as_the_signatures_types(session):
    answer = session.run("score", {"x": [[1, 10]], "count": [4]})
    np.testing.assert_allclose(answer["score"], [[32]])
    assert answer["score"].dtype == np.float32


@pytest.mark.parametrize("text", [["low", "é"], [b"low", "é".encode()]])
def test_run_when_inputs_are_strings_then_tables_are_ready_and_bytes_come_back(session, text):
    answer = session.run("look_up", {"text": text})
    np.testing.assert_array_equal(answer["rank"], [1, -1])
    assert list(answer["loud"]) == [b"low!", "é!".encode()]


def test_run_when_strings_hold_any_bytes_then_they_pass_unchanged(session):
    text = np.array([b"a\0", b"\xff", b""], dtype=object)
    assert list(session.run("look_up", {"text": text})["loud"]) == [b"a\0!", b"\xff!", b"!"]


@pytest.mark.parametrize("text", [[b"\n\x01\0"], ["a\0"], [b"long", b"a\0"]], ids=repr)
def test_run_when_strings_in_a_list_end_in_nul_then_they_pass_unchanged(session, text):
    """Every tf.Example that ends in an integer 0 is one."""
    loud = [(item if isinstance(item, bytes) else item.encode()) + b"!" for item in text]
    assert list(session.run("look_up", {"text": text})["loud"]) == loud


def test_run_when_the_batch_is_empty_then_so_is_the_answer(session):
    answer = session.run("score", {"x": np.zeros((0, 2)), "count": []})
    assert answer["score"].shape == (0, 1)


def test_run_when_the_signature_is_unknown_then_lists_those_there_are(session):
    message = refusal(session, "nope", {})
    assert message == "signature: found 'nope'; allowed: brain, look_up, scale, score"


def test_run_when_the_signature_is_the_models_init_op_then_is_unknown(session):
    refusal(session, "__saved_model_init_op", {})


def test_run_when_an_input_is_missing_then_names_it(session):
    message = refusal(session, "score", {"x": [[1, 2]]})
    assert "missing ['count']" in message
    assert "unknown none" in message
    assert "allowed: exactly ['count', 'x']" in message


def test_run_when_an_input_is_unknown_then_names_it(session):
    message = refusal(session, "score", {"x": [[1, 2]], "count": [1], "extra": [1]})
    assert "unknown ['extra']" in message
    assert "missing none" in message
    assert "allowed: exactly ['count', 'x']" in message


@pytest.mark.parametrize(
    "count",
    [
        ["many"],
        [None],
        [float("nan")],
        [{"a": 1}],
        [1.5],
        np.array([1.5]),
        np.array([1.0]),
        ["7"],
        [True],
        [2**40],
        [2**70],
    ],
    ids=str,
)
def test_run_when_an_integer_input_is_of_another_type_then_says_found_and_allowed(session, count):
    message = refusal(session, "score", {"x": [[1, 2]], "count": count})
    assert message.startswith("count: found ")
    assert "allowed: int32 of shape (None,)" in message


@pytest.mark.parametrize(
    "x",
    [
        [["a", "b"]],
        [[None, {}]],
        [["1", "2"]],
        [[None, 1.0]],
        [[True, False]],
        [[1j, 2.0]],
    ],
    ids=str,
)
def test_run_when_a_float_input_is_of_another_type_then_says_found_and_allowed(session, x):
    message = refusal(session, "score", {"x": x, "count": [1]})
    assert message.startswith("x: found ")
    assert "allowed: float32 of shape (None, 2)" in message


@pytest.mark.parametrize(
    "text",
    [
        [1],
        [1.5],
        [None],
        [True],
        [["a"], ["b", "c"]],
        ["a", 1],
    ],
    ids=str,
)
def test_run_when_a_string_input_is_of_another_type_then_says_found_and_allowed(session, text):
    message = refusal(session, "look_up", {"text": text})
    assert message.startswith("text: found ")
    assert "allowed: string of shape (None,)" in message


@pytest.mark.parametrize(
    ("x", "found"),
    [
        ([1, 2], "[2]"),
        (1, "[]"),
        ([[1, 2, 3]], "[1, 3]"),
        ([[[1, 2]]], "[1, 1, 2]"),
        ([], "[0]"),
    ],
)
def test_run_when_rank_or_shape_is_wrong_then_says_found_and_allowed(session, x, found):
    message = refusal(session, "score", {"x": x, "count": [1]})
    assert f"x: found shape {found}; allowed: float32 of shape (None, 2)" in message


def test_run_when_a_number_is_too_large_for_the_float_then_says_found_and_allowed(session):
    message = refusal(session, "score", {"x": [[1e300, 1.0]], "count": [1]})
    assert message.startswith("x: found ")


def test_run_when_numbers_are_infinite_or_nan_then_they_are_floats_like_any_other(session):
    inputs = {"x": [[float("inf"), 0.0], [float("nan"), 0.0]], "count": [1, 2]}
    np.testing.assert_array_equal(session.run("score", inputs)["score"], [[np.inf], [np.nan]])


def test_run_when_a_string_input_has_the_wrong_rank_then_says_found_and_allowed(session):
    message = refusal(session, "look_up", {"text": [["a"]]})
    assert "text: found shape [1, 1]; allowed: string of shape (None,)" in message


def test_run_when_rows_are_ragged_then_says_found_and_allowed(session):
    message = refusal(session, "score", {"x": [[1, 2], [3]], "count": [1, 2]})
    assert "x: found [[1, 2], [3]]; allowed: float32 of shape (None, 2)" in message


def test_run_when_what_was_found_is_long_then_the_message_stays_short(session):
    message = refusal(session, "score", {"x": [["long"] * 1000], "count": [1]})
    assert message.startswith("x: found [['long', ")
    assert len(message) < 200


def test_run_when_batches_differ_in_size_then_says_which(session):
    message = refusal(session, "score", {"x": [[1, 2], [3, 4]], "count": [1]})
    assert "different sizes" in message
    assert "'x': 2" in message
    assert "'count': 1" in message


def test_run_when_the_signature_has_a_scalar_input_then_it_is_no_batch_and_runs(session):
    answer = session.run("scale", {"x": [1.0, 2.0], "factor": 3.0})
    np.testing.assert_allclose(answer["y"], [3.0, 6.0])


def test_run_when_the_input_is_bfloat16_then_it_is_a_float_like_any_other(session):
    np.testing.assert_allclose(session.run("brain", {"x": [1.5]})["y"], [3.0])


@pytest.mark.parametrize("missing", ["saved_model.pb", "variables/variables.index"])
def test_session_when_the_folder_holds_no_whole_model_then_is_an_invalid_model(
    folder, tmp_path, missing
):
    broken = Path(shutil.copytree(folder, tmp_path / "broken"))
    (broken / missing).unlink()
    with pytest.raises(InvalidModel, match=r"Error: .*"):
        SavedModelSession(broken)


def test_run_when_a_request_was_refused_then_the_next_is_answered(session):
    refusal(session, "score", {"x": [1], "count": [1]})
    answer = session.run("score", {"x": [[1, 10]], "count": [4]})
    np.testing.assert_allclose(answer["score"], [[32]])


def test_sessions_when_two_models_are_loaded_then_each_keeps_its_own_variables(session, tmp_path):
    module = Scale()
    module.weight.assign([[0.0], [1.0]])
    tf.saved_model.save(module, str(tmp_path / "other"), signatures={"score": module.score})
    other = SavedModelSession(tmp_path / "other")
    inputs = {"x": [[1, 10]], "count": [1]}
    np.testing.assert_allclose(other.run("score", inputs)["score"], [[10]])
    np.testing.assert_allclose(session.run("score", inputs)["score"], [[32]])
