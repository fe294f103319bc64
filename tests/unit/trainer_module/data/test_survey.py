"""What a split's rows are, said in one hash: of the rows, not of the files that hold them."""

from __future__ import annotations

import numpy as np
import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip

from trainer_module.data.records import match_files  # isort: skip
from trainer_module.data.survey import Surveyor, survey  # isort: skip

Rows = dict[str, np.ndarray]

BASE = {"x": np.arange(6, dtype=np.float32).reshape(3, 2), "y": np.array([0, 1, 2])}
SPEC = {"x": tf.io.FixedLenFeature([2], tf.float32), "y": tf.io.FixedLenFeature([], tf.int64)}


def fingerprint(*batches: Rows, spec: dict = SPEC) -> str:
    surveyor = Surveyor(spec)
    for batch in batches:
        surveyor.add(batch)
    return surveyor.fingerprint()


def test_fingerprint_when_rows_come_in_another_order_or_other_batches_then_is_equal() -> None:
    turned = {name: values[::-1] for name, values in BASE.items()}
    parts = [{name: values[part] for name, values in BASE.items()} for part in ([0], [1, 2])]
    assert fingerprint(BASE) == fingerprint(turned) == fingerprint(*parts)


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({**BASE, "x": BASE["x"] + np.float32(1e-6)}, id="a value"),
        pytest.param({**BASE, "y": BASE["y"][::-1]}, id="values of other rows"),
        pytest.param({name: values[:2] for name, values in BASE.items()}, id="a row less"),
        pytest.param({name: values[[0, 0, 1, 2]] for name, values in BASE.items()}, id="one twice"),
    ],
)
def test_fingerprint_when_rows_differ_then_differs(changed: Rows) -> None:
    assert fingerprint(changed) != fingerprint(BASE)


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({"z": SPEC["x"], "y": SPEC["y"]}, id="name"),
        pytest.param({**SPEC, "x": tf.io.FixedLenFeature([2, 1], tf.float32)}, id="shape"),
        pytest.param({**SPEC, "y": tf.io.FixedLenFeature([], tf.float32)}, id="dtype"),
    ],
)
def test_fingerprint_when_features_are_others_then_differs(spec: dict) -> None:
    assert fingerprint(BASE, spec=spec) != fingerprint(BASE)


def test_fingerprint_when_the_same_bytes_are_cut_into_other_strings_then_differs() -> None:
    spec = {"s": tf.io.FixedLenFeature([2], tf.string)}

    def strings(*values: bytes) -> Rows:
        return {"s": np.array([values], dtype=object)}

    assert fingerprint(strings(b"ab", b"c"), spec=spec) != fingerprint(
        strings(b"a", b"bc"), spec=spec
    )


def test_survey_when_rows_come_in_other_files_then_is_equal(numbered) -> None:
    spec = {"id": tf.io.FixedLenFeature([], tf.int64)}
    one = survey(match_files(numbered(20, files=1, name="one")), spec, None)
    many = survey(match_files(numbered(20, files=4, name="many")), spec, None)
    assert one == many
    assert one[0] == 20


def test_survey_when_the_folder_knows_the_files_then_they_are_not_read(
    numbered, tmp_path, monkeypatch
) -> None:
    spec = {"id": tf.io.FixedLenFeature([], tf.int64)}
    files = match_files(numbered(20))
    first = survey(files, spec, str(tmp_path))
    monkeypatch.delattr("trainer_module.data.survey.parsed_batches")
    assert survey(files, spec, str(tmp_path)) == first
