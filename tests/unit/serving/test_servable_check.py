"""The gate before a push: only a model that answers as the trained one did gets through."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from serving.servable_check import (
    ServableCheckFailed,
    check_servable,
    compare_with_reference,
    main,
)

REPOSITORY = Path(__file__).parents[3]
X = np.array([[1.0], [2.0]], np.float32)
TEXT = np.array([b"cat", b"dog"], dtype=object)
SCORE = ("score", {"x": X}, {"score": X * 2})
LABEL = ("label", {"text": TEXT}, {"label": TEXT, "length": np.array([3, 3], np.int32)})


class Model(tf.Module):
    """`score` is x times the weight; `label` gives the text back, and its length."""

    def __init__(self, weight=2.0):
        super().__init__()
        self.weight = tf.Variable(weight)

    @tf.function(input_signature=[tf.TensorSpec([None, 1], tf.float32, name="x")])
    def score(self, x):
        return {"score": x * self.weight}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def label(self, text):
        return {"label": text, "length": tf.strings.length(text)}

    @tf.function(input_signature=[tf.TensorSpec([None, 1], tf.float32, name="x")])
    def crash(self, x):
        with tf.control_dependencies([tf.raw_ops.Abort(error_msg="the server would die here")]):
            return {"score": tf.identity(x)}


def save(folder, weight=2.0, names=("score", "label")):
    module = Model(weight)
    tf.saved_model.save(module, str(folder), {name: getattr(module, name) for name in names})
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save(tmp_path_factory.mktemp("servable") / "model")


@pytest.fixture
def reference(tmp_path, write_reference):
    return write_reference(tmp_path / "reference.tfrecord", SCORE, LABEL)


@pytest.fixture
def verdict_on(tmp_path, write_reference):
    """Compares a model with reference answers."""

    def compare(model, *answers, tolerance=1e-5):
        path = write_reference(tmp_path / "answers.tfrecord", *answers)
        return compare_with_reference(model, path, tolerance)

    return compare


def test_check_when_the_model_is_good_then_passes_in_a_process_of_its_own(model, reference):
    program = (
        "import sys; from pathlib import Path; from serving.servable_check import check_servable; "
        f"check_servable(Path({str(model)!r}), Path({str(reference)!r}), 1e-5); "
        "assert 'tensorflow' not in sys.modules; print('passed')"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "passed\n"), done.stderr


def test_check_when_the_model_kills_its_process_then_is_refused_and_the_caller_lives(
    tmp_path, write_reference
):
    model = save(tmp_path / "model", names=("crash",))
    reference = write_reference(tmp_path / "reference", ("crash", {"x": X}, {"score": X}))
    with pytest.raises(ServableCheckFailed, match=r"(?s)code -6.*the server would die here"):
        check_servable(model, reference, 1e-5)


def test_check_when_the_graph_is_truncated_then_is_refused_with_the_cause(
    model, reference, tmp_path
):
    broken = Path(shutil.copytree(model, tmp_path / "broken"))
    os.truncate(broken / "saved_model.pb", 100)
    with pytest.raises(ServableCheckFailed, match=r"Error: .*saved_model\.pb"):
        check_servable(broken, reference, 1e-5)


def test_main_when_the_model_is_good_then_ends_with_0_and_prints_the_differences(
    model, reference, capsys
):
    assert main([str(model), str(reference), "--tolerance", "1e-5"]) == 0
    assert json.loads(capsys.readouterr().out) == {"differences": {"score": 0.0, "label": 0.0}}


def test_main_when_an_answer_differs_then_ends_with_1_and_prints_why(reference, tmp_path, capsys):
    other = save(tmp_path / "other", weight=3.0)
    assert main([str(other), str(reference), "--tolerance", "0.1"]) == 1
    error = json.loads(capsys.readouterr().out)["error"]
    assert "signature score, output score" in error
    assert "allowed: 0.1" in error


@pytest.mark.parametrize("missing", ["variables/variables.index", "variables", "saved_model.pb"])
def test_main_when_part_of_the_model_is_missing_then_ends_with_1_and_prints_the_cause(
    model, reference, tmp_path, capsys, missing
):
    broken = Path(shutil.copytree(model, tmp_path / "broken"))
    doomed = broken / missing
    shutil.rmtree(doomed) if doomed.is_dir() else doomed.unlink()
    assert main([str(broken), str(reference)]) == 1
    error = json.loads(capsys.readouterr().out)["error"]
    assert "variable" in error.lower() if "variables" in missing else "saved_model" in error


def test_main_when_the_reference_is_missing_then_ends_with_1_and_names_it(model, tmp_path, capsys):
    assert main([str(model), str(tmp_path / "nowhere")]) == 1
    assert "nowhere" in json.loads(capsys.readouterr().out)["error"]


def test_main_when_variables_are_hidden_from_tf_serving_then_ends_with_1_though_python_loads_them(
    tmp_path, write_reference, capsys
):
    # Keras 3 wraps its variables: the restore op that TF Serving runs leaves them out.
    import keras as keras3

    layer = keras3.Sequential([keras3.layers.Input((1,)), keras3.layers.Dense(1)])
    module = tf.Module()
    module.layer = layer
    signature = tf.function(lambda x: {"score": layer(x)}).get_concrete_function(
        x=tf.TensorSpec([None, 1], tf.float32, name="x")
    )
    tf.saved_model.save(module, str(tmp_path / "model"), {"score": signature})
    in_python = tf.saved_model.load(str(tmp_path / "model")).signatures["score"]
    answer = in_python(x=tf.constant(X))["score"].numpy()
    reference = write_reference(tmp_path / "reference", ("score", {"x": X}, {"score": answer}))

    assert main([str(tmp_path / "model"), str(reference)]) == 1
    assert "Could not find variable" in json.loads(capsys.readouterr().out)["error"]


def test_compare_when_answers_agree_then_returns_the_largest_difference_of_each_signature(
    model, verdict_on
):
    near = np.array([[2.0], [4.0 * (1 + 1e-3)]], np.float32)
    found = verdict_on(model, ("score", {"x": X}, {"score": near}), LABEL, tolerance=1e-2)
    assert found == {"score": pytest.approx(1e-3, rel=1e-3), "label": 0.0}


def test_compare_when_a_weight_has_changed_then_names_signature_and_output(tmp_path, verdict_on):
    other = save(tmp_path / "other", weight=2.001)
    with pytest.raises(ServableCheckFailed, match="signature score, output score: differs"):
        verdict_on(other, SCORE, LABEL)


@pytest.mark.parametrize(
    ("expected", "allowed"),
    [
        (2.0 * (1 + 0.9e-3), True),
        (2.0 * (1 - 0.9e-3), True),
        (2.0 * (1 + 1.1e-3), False),
        (2.0 * (1 - 1.1e-3), False),
    ],
)
def test_compare_when_the_difference_is_about_the_tolerance_then_it_decides(
    model, verdict_on, expected, allowed
):
    answers = ("score", {"x": X[:1]}, {"score": np.array([[expected]], np.float32)})
    if allowed:
        verdict_on(model, answers, LABEL, tolerance=1e-3)
    else:
        with pytest.raises(ServableCheckFailed, match=r"differs .* by 0\.0011; allowed: 0\.001"):
            verdict_on(model, answers, LABEL, tolerance=1e-3)


@pytest.mark.parametrize(
    ("x", "error", "allowed"),
    [
        (0.0, 0.9e-3, True),
        (0.0, 1.1e-3, False),
        (1000.0, 1.8, True),
        (1000.0, 2.2, False),
    ],
)
def test_compare_when_values_are_small_or_large_then_tolerance_is_relative_to_1_or_the_value(
    model, verdict_on, x, error, allowed
):
    inputs = {"x": np.array([[x]], np.float32)}
    answers = ("score", inputs, {"score": np.array([[2 * x + error]], np.float32)})
    if allowed:
        verdict_on(model, answers, LABEL, tolerance=1e-3)
    else:
        with pytest.raises(ServableCheckFailed, match="signature score"):
            verdict_on(model, answers, LABEL, tolerance=1e-3)


def test_compare_when_the_model_answers_nan_then_no_tolerance_allows_it(tmp_path, verdict_on):
    broken = save(tmp_path / "nan", weight=float("nan"))
    with pytest.raises(ServableCheckFailed, match=r"output score: differs .* by inf"):
        verdict_on(broken, SCORE, LABEL, tolerance=1e30)


def test_compare_when_both_answer_nan_then_is_refused_all_the_same(tmp_path, verdict_on):
    broken = save(tmp_path / "nan", weight=float("nan"))
    nan = np.full_like(X, np.nan)
    with pytest.raises(ServableCheckFailed, match="signature score, output score"):
        verdict_on(broken, ("score", {"x": X}, {"score": nan}), LABEL)


def test_compare_when_only_the_reference_is_nan_or_infinite_then_is_refused(model, verdict_on):
    for value in (np.nan, np.inf, -np.inf):
        answers = ("score", {"x": X[:1]}, {"score": np.array([[value]], np.float32)})
        with pytest.raises(ServableCheckFailed, match="signature score, output score"):
            verdict_on(model, answers, LABEL, tolerance=1e30)


@pytest.mark.parametrize(
    ("output", "value"),
    [
        ("label", np.array([b"cat", b"dot"], dtype=object)),
        ("length", np.array([3, 4], np.int32)),
    ],
)
def test_compare_when_a_string_or_integer_differs_then_no_tolerance_allows_it(
    model, verdict_on, output, value
):
    answers = ("label", LABEL[1], {**LABEL[2], output: value})
    with pytest.raises(ServableCheckFailed, match=f"signature label, output {output}: differs"):
        verdict_on(model, SCORE, answers, tolerance=10.0)


def test_main_when_the_model_lacks_a_signature_then_ends_with_1_and_names_it(
    reference, tmp_path, capsys
):
    lacking = save(tmp_path / "lacking", names=("score",))
    assert main([str(lacking), str(reference)]) == 1
    error = json.loads(capsys.readouterr().out)["error"]
    assert "signature: found 'label'; allowed: score" in error


def test_compare_when_a_signature_has_no_reference_answer_then_names_it(model, verdict_on):
    with pytest.raises(ServableCheckFailed, match="without a reference answer: label"):
        verdict_on(model, SCORE)


def test_compare_when_the_reference_is_empty_then_every_signature_is_missing(model, verdict_on):
    with pytest.raises(ServableCheckFailed, match="without a reference answer: label, score"):
        verdict_on(model)


@pytest.mark.parametrize("outputs", [{}, {"score": X * 2, "extra": X}, {"points": X * 2}])
def test_compare_when_outputs_have_other_names_then_lists_both(model, verdict_on, outputs):
    with pytest.raises(ServableCheckFailed) as error:
        verdict_on(model, ("score", {"x": X}, outputs), LABEL)
    assert f"found outputs ['score']; expected {sorted(outputs)}" in str(error.value)


@pytest.mark.parametrize("value", [X * 2 @ [[1, 1]], (X * 2)[:, 0], (X * 2)[:1]])
def test_compare_when_an_output_has_another_shape_then_says_both(model, verdict_on, value):
    with pytest.raises(ServableCheckFailed) as error:
        verdict_on(model, ("score", {"x": X}, {"score": np.float32(value)}), LABEL)
    assert f"output score: found float32 (2, 1); expected float32 {value.shape}" in str(error.value)


@pytest.mark.parametrize("dtype", [np.float64, np.int32])
def test_compare_when_an_output_is_of_another_type_then_is_refused(model, verdict_on, dtype):
    with pytest.raises(ServableCheckFailed, match="score"):
        verdict_on(model, ("score", {"x": X}, {"score": (X * 2).astype(dtype)}), LABEL)


def test_compare_when_a_signature_is_asked_twice_then_the_larger_difference_is_told(
    model, verdict_on
):
    off = ("score", {"x": X[:1]}, {"score": np.array([[2.002]], np.float32)})
    found = verdict_on(model, off, SCORE, LABEL, tolerance=1e-2)
    assert found["score"] == pytest.approx(1e-3, rel=1e-2)
