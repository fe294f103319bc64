"""The gate and the forms of signatures: Classify and Regress have to be what TF Serving demands."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from serving.servable_check import ServableCheckFailed, compare_with_reference

CLASSIFY = tf.saved_model.CLASSIFY_METHOD_NAME
REGRESS = tf.saved_model.REGRESS_METHOD_NAME
PREDICT = tf.saved_model.PREDICT_METHOD_NAME
TEXTS = tf.TensorSpec([None], tf.string, name="inputs")


def scores(inputs):
    return tf.cast(tf.strings.length(inputs), tf.float32)[:, tf.newaxis]


@pytest.fixture
def save(tmp_path):
    """Saves a function of texts as a signature of its own name, with a method."""

    def run(function, method, spec=TEXTS):
        name = function.__name__
        module = tf.Module()
        folder = str(tmp_path / "model")
        signature = tf.function(function, input_signature=[spec])
        tf.saved_model.save(module, folder, {name: signature})
        updater = tf.compat.v1.saved_model.signature_def_utils.MethodNameUpdater(folder)
        updater.replace_method_name(name, method)
        updater.save()
        return tmp_path / "model"

    return run


@pytest.fixture
def verdict(tmp_path):
    """Checks a model against one log."""

    def run(model, log):
        path = tmp_path / "reference.tfrecord"
        with tf.io.TFRecordWriter(str(path)) as writer:
            writer.write(log.SerializeToString())
        return compare_with_reference(model, path, 1e-5)

    return run


def example(name):
    feature = {name: tf.train.Feature(float_list={"value": [1.0]})}
    return tf.train.Example(features=tf.train.Features(feature=feature))


EXAMPLES = [example("x"), example("longer")]
LENGTHS = [len(one.SerializeToString()) for one in EXAMPLES]


def classify_log(labels=("length", "length"), offset=0.0):
    log = prediction_log_pb2.PredictionLog()
    log.classify_log.request.model_spec.signature_name = "classify"
    log.classify_log.request.input.example_list.examples.extend(EXAMPLES)
    for label, length in zip(labels, LENGTHS, strict=True):
        row = log.classify_log.response.result.classifications.add()
        row.classes.add(label=label, score=length + offset)
    return log


def regress_log(offset=0.0):
    log = prediction_log_pb2.PredictionLog()
    log.regress_log.request.model_spec.signature_name = "regress"
    log.regress_log.request.input.example_list.examples.extend(EXAMPLES)
    for length in LENGTHS:
        log.regress_log.response.result.regressions.add(value=length + offset)
    return log


def classify(inputs):
    values = scores(inputs)
    return {"classes": tf.fill(tf.shape(values), "length"), "scores": values}


def regress(inputs):
    return {"outputs": tf.squeeze(scores(inputs), 1)}


def test_compare_when_classify_answers_as_in_its_log_then_passes(save, verdict):
    assert verdict(save(classify, CLASSIFY), classify_log()) == {"classify": 0.0}


def test_compare_when_regress_answers_as_in_its_log_then_passes(save, verdict):
    assert verdict(save(regress, REGRESS), regress_log()) == {"regress": 0.0}


@pytest.mark.parametrize(
    ("log", "output"),
    [(classify_log(offset=0.5), "scores"), (classify_log(labels=("length", "width")), "classes")],
    ids=["another score", "another label"],
)
def test_compare_when_classify_answers_otherwise_then_is_refused(save, verdict, log, output):
    with pytest.raises(ServableCheckFailed, match=f"signature classify, output {output}: differs"):
        verdict(save(classify, CLASSIFY), log)


def test_compare_when_regress_answers_otherwise_then_is_refused(save, verdict):
    with pytest.raises(ServableCheckFailed, match="signature regress, output outputs: differs"):
        verdict(save(regress, REGRESS), regress_log(offset=0.5))


def test_compare_when_a_signature_has_another_method_than_its_log_then_is_refused(save, verdict):
    with pytest.raises(
        ServableCheckFailed, match=f"found method '{PREDICT}'; expected '{CLASSIFY}"
    ):
        verdict(save(classify, PREDICT), classify_log())


def answer(inputs):
    return {"outputs": scores(inputs)}


def other_input(examples):
    return {"outputs": scores(examples)}


def far(inputs):
    return {"outputs": scores(inputs)[:, :, tf.newaxis]}


def flat(inputs):
    return {"classes": inputs}


def integers(inputs):
    return {"outputs": tf.strings.length(inputs)}


FORM = "expected what TF Serving demands of predict, classify or regress"


@pytest.mark.parametrize(
    ("function", "method", "spec", "message"),
    [
        pytest.param(answer, CLASSIFY, TEXTS, FORM, id="classify without classes and scores"),
        pytest.param(classify, REGRESS, TEXTS, FORM, id="regress without outputs"),
        pytest.param(integers, REGRESS, TEXTS, FORM, id="regress to integers"),
        pytest.param(answer, "tensorflow/serving/rank", TEXTS, FORM, id="unknown method"),
        pytest.param(flat, CLASSIFY, TEXTS, "classes: found rank 1; expected 2", id="flat classes"),
        pytest.param(far, REGRESS, TEXTS, "outputs: found rank 3; expected 1 or 2", id="far"),
        pytest.param(
            other_input,
            REGRESS,
            tf.TensorSpec([None], tf.string, name="examples"),
            r"with inputs \['examples'\]",
            id="another input",
        ),
    ],
)
def test_compare_when_a_signature_is_not_of_its_methods_form_then_is_refused(
    save, verdict, function, method, spec, message
):
    with pytest.raises(ServableCheckFailed, match=message):
        verdict(save(function, method, spec), regress_log())


def test_compare_when_regress_gives_a_column_then_its_form_is_allowed(
    save, tmp_path, write_reference
):
    def regress(inputs):
        return {"outputs": scores(inputs)}

    texts, outputs = np.array([b"a", b"abc"], object), np.array([[1.0], [3.0]], np.float32)
    answers = ("regress", {"inputs": texts}, {"outputs": outputs})
    path = write_reference(tmp_path / "answers", answers)
    assert compare_with_reference(save(regress, REGRESS), path, 1e-5) == {"regress": 0.0}


def test_compare_when_examples_come_with_a_context_then_is_refused(save, verdict):
    log = regress_log()
    log.regress_log.request.input.Clear()
    log.regress_log.request.input.example_list_with_context.examples.extend(EXAMPLES)
    with pytest.raises(ValueError, match="input: found example_list_with_context; allowed"):
        verdict(save(regress, REGRESS), log)


def test_compare_when_predict_asks_a_classify_signature_then_is_allowed_as_in_tf_serving(
    save, verdict, tmp_path, write_reference
):
    texts = np.array([b"a", b"abc"], object)
    outputs = {"classes": [[b"length"]] * 2, "scores": np.array([[1.0], [3.0]], np.float32)}
    path = write_reference(tmp_path / "answers", ("classify", {"inputs": texts}, outputs))
    assert compare_with_reference(save(classify, CLASSIFY), path, 1e-5) == {"classify": 0.0}
