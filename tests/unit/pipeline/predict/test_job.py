"""Batches on their way side by side, answers in order, nothing lost and nothing hoarded."""

from __future__ import annotations

import itertools
import threading

import numpy as np
import pytest
from grpc import StatusCode

from pipeline.config_file import ConfigError, Problem
from pipeline.predict.job import answer
from pipeline.predict.models import LocalModel, Refused
from pipeline.predict.rows import Row
from serving.client import ServingClientError, Signature, TensorSpec

LIMIT = 60.0


class Numbers:
    """Rows of `x`: 0, 1, 2 ... Counts how many were read; raises what it is told after the last."""

    def __init__(self, count: int | None, failure: Exception | None = None) -> None:
        self.total = count
        self.was_read = 0
        self._failure = failure

    def read(self, signature: Signature):
        for number in itertools.count() if self.total is None else range(self.total):
            self.was_read = number + 1
            yield Row("rows.csv", f"row {number + 1}", {"x": float(number)}, {})
        if self._failure:
            raise self._failure


class Doubler:
    """Answers `twice`. `before` is called with the first `x` of each batch."""

    where = "doubler"

    def __init__(self, before=lambda first: None) -> None:
        self._before = before
        self.sizes: list[int] = []

    def signatures(self) -> dict[str, Signature]:
        x = TensorSpec(np.dtype(np.float32), (None,))
        return {"s": Signature({"x": x}, {"twice": x}, "")}

    def run(self, name: str, inputs):
        self.sizes.append(len(inputs["x"]))
        self._before(int(inputs["x"][0]))
        return {"twice": inputs["x"] * 2}


def twices(batches) -> list[float]:
    return [one["twice"] for batch in batches for one in batch]


def test_answers_when_rows_fill_no_batch_then_all_are_answered() -> None:
    model = Doubler()
    assert twices(answer(Numbers(7), model, "s", 3, 1)) == [0, 2, 4, 6, 8, 10, 12]
    assert model.sizes == [3, 3, 1]


def test_answers_when_there_are_no_rows_then_none() -> None:
    assert list(answer(Numbers(0), Doubler(), "s", 3, 2)) == []


def test_answers_when_the_first_batch_is_the_slowest_then_still_the_first() -> None:
    others = threading.Event()

    def before(first: int) -> None:
        if first == 0:
            assert others.wait(LIMIT), "the second batch waits for the first"
        else:
            others.set()

    assert twices(answer(Numbers(4), Doubler(before), "s", 1, 2)) == [0, 2, 4, 6]


def test_answers_when_the_model_is_busy_then_no_more_is_read_than_is_on_its_way() -> None:
    rows = Numbers(None)
    answers = answer(rows, Doubler(), "s", 10, 3)
    for _ in range(5):
        next(answers)
    assert rows.was_read <= 10 * (5 + 3 + 1)
    answers.close()


def test_answers_when_many_are_allowed_then_so_many_are_asked_at_a_time() -> None:
    meeting = threading.Barrier(3)
    model = Doubler(lambda first: meeting.wait(LIMIT))
    assert len(twices(answer(Numbers(6), model, "s", 1, 3))) == 6


def test_answers_when_a_row_does_not_fit_then_those_before_come_first() -> None:
    problem = ConfigError(Problem("rows.csv", "row 6", "junk", "rows"))
    answers = answer(Numbers(5, problem), Doubler(), "s", 2, 3)
    got = []
    with pytest.raises(ConfigError) as caught:
        for batch in answers:
            got.append(batch)
    assert caught.value is problem
    assert twices(got) == [0, 2, 4, 6, 8]


def test_answers_when_the_model_refuses_a_batch_then_names_its_rows() -> None:
    def before(first: int) -> None:
        if first == 2:
            raise Refused("Task size 2 is larger than maximum input batch size 1")

    answers = answer(Numbers(6), Doubler(before), "s", 2, 2)
    assert len(next(answers)) == 2
    with pytest.raises(ConfigError) as caught:
        next(answers)
    assert str(caught.value) == (
        "rows.csv: row 3..row 4: found Task size 2 is larger than maximum input batch size 1; "
        "allowed: what doubler takes; a smaller --batch if they are too many"
    )


def test_answers_when_the_server_goes_away_then_the_rest_is_not_asked() -> None:
    asked = []

    def before(first: int) -> None:
        asked.append(first)
        raise ServingClientError(StatusCode.UNAVAILABLE, "away")

    with pytest.raises(ServingClientError, match="away"):
        list(answer(Numbers(1000), Doubler(before), "s", 1, 2))
    assert len(asked) <= 4


@pytest.mark.parametrize(
    ("signature", "error"),
    [
        ("no", "--signature: found 'no'; allowed: encoded, pixels, scalar, serving_default, ser"),
        ("scalar", "--signature scalar: found inputs of one value, x; allowed: inputs with a row"),
        ("total", r"row 1..row 3: found an output total of shape \[\]; allowed: a row for each of"),
    ],
)
def test_signature_when_it_cannot_answer_rows_then_refused(model, signature, error) -> None:
    with pytest.raises(ConfigError, match=error):
        list(answer(Numbers(3), LocalModel(model), signature, 3, 1))


def test_local_model_when_asked_then_answers_rows(model, rows_of) -> None:
    class Rows:
        total = 2

        def read(self, signature):
            return iter(rows_of({"x": [1, 2], "word": "ö"}, {"x": [3.5, 0], "word": b"\xff"}))

    (batch,) = answer(Rows(), LocalModel(model), "serving_raw", 10, 1)
    assert batch == [
        {"sum": 3.0, "twice": [2.0, 4.0], "echo": "ö".encode(), "echo_bytes": "ö".encode()},
        {"sum": 3.5, "twice": [7.0, 0.0], "echo": b"\xff", "echo_bytes": b"\xff"},
    ]


@pytest.mark.parametrize("content", [b"", b"broken"])
def test_local_model_when_it_is_none_then_named(tmp_path, content) -> None:
    (tmp_path / "saved_model.pb").write_bytes(content)
    with pytest.raises(ConfigError, match=f"^{tmp_path}: MODEL: found .*; allowed: a SavedModel"):
        list(answer(Numbers(1), LocalModel(tmp_path), "s", 1, 1))


def test_local_model_when_its_weights_are_gone_then_named(model, tmp_path) -> None:
    (tmp_path / "saved_model.pb").write_bytes((model / "saved_model.pb").read_bytes()[:-200])
    with pytest.raises(ConfigError, match=f"^{tmp_path}: MODEL: found "):
        list(answer(Numbers(1), LocalModel(tmp_path), "total", 1, 1))
