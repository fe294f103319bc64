"""Warmup requests: real rows in every batch size, and none that keeps a version from loading."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from serving.config import BatchingConfig
from serving.prediction_logs import exchange, read_logs
from serving.servable_check import ServableCheckFailed, compare_with_reference
from serving.warmup import WARMUP_FILE, warmup_sizes, write_warmup_requests

X = np.array([[1.0], [2.0], [3.0]], np.float32)
SIZES = [1, 2, 4]
CLASSIFY = tf.saved_model.CLASSIFY_METHOD_NAME
REGRESS = tf.saved_model.REGRESS_METHOD_NAME


def example(x):
    feature = {"x": tf.train.Feature(float_list={"value": [x]})}
    return tf.train.Example(features=tf.train.Features(feature=feature))


EXAMPLES = [example(float(x)) for (x,) in X]


class Model(tf.Module):
    """One signature a method, one that takes a scalar too, and one of a fixed batch."""

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, 1], tf.float32, name="x"),
            tf.TensorSpec([], tf.float32, name="factor"),
        ]
    )
    def scale(self, x, factor):
        return {"y": x * factor}

    @tf.function(input_signature=[tf.TensorSpec([2], tf.string, name="pair")])
    def join(self, pair):
        return {"joined": tf.strings.join([pair, "!"])}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="inputs")])
    def classify(self, inputs):
        x = self._parsed(inputs)
        return {"classes": tf.strings.as_string(x), "scores": x}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="inputs")])
    def regress(self, inputs):
        return {"outputs": tf.reshape(self._parsed(inputs), [-1])}

    def _parsed(self, examples):
        spec = {"x": tf.io.FixedLenFeature([1], tf.float32)}
        x = tf.io.parse_example(examples, spec)["x"]
        # As a server's own limit would: batches of more than 4 rows fail.
        with tf.control_dependencies([tf.debugging.assert_less(tf.shape(x)[0], 5)]):
            return tf.identity(x)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("warmup") / "model"
    module = Model()
    names = ("scale", "join", "classify", "regress")
    tf.saved_model.save(module, str(folder), {name: getattr(module, name) for name in names})
    updater = tf.compat.v1.saved_model.signature_def_utils.MethodNameUpdater(str(folder))
    updater.replace_method_name("classify", CLASSIFY)
    updater.replace_method_name("regress", REGRESS)
    updater.save()
    return folder


@pytest.fixture
def version(saved, tmp_path):
    return Path(shutil.copytree(saved, tmp_path / "model"))


@pytest.fixture
def write_logs(tmp_path):
    def write(*logs):
        path = tmp_path / "logs.tfrecord"
        with tf.io.TFRecordWriter(str(path)) as writer:
            for log in logs:
                writer.write(log.SerializeToString())
        return path

    return write


def predict(signature, outputs, **inputs):
    log = prediction_log_pb2.PredictionLog()
    log.predict_log.request.model_spec.signature_name = signature
    for fields, values in (
        (log.predict_log.request.inputs, inputs),
        (log.predict_log.response.outputs, outputs),
    ):
        for name, value in values.items():
            fields[name].CopyFrom(tf.make_tensor_proto(value))
    return log


def classify(examples=EXAMPLES):
    log = prediction_log_pb2.PredictionLog()
    log.classify_log.request.model_spec.signature_name = "classify"
    log.classify_log.request.input.example_list.examples.extend(examples)
    for one in examples:
        (x,) = one.features.feature["x"].float_list.value
        row = log.classify_log.response.result.classifications.add()
        row.classes.add(label=tf.strings.as_string(x).numpy().decode(), score=x)
    return log


def regress(examples=EXAMPLES):
    log = prediction_log_pb2.PredictionLog()
    log.regress_log.request.model_spec.signature_name = "regress"
    log.regress_log.request.input.example_list.examples.extend(examples)
    for one in examples:
        (x,) = one.features.feature["x"].float_list.value
        log.regress_log.response.result.regressions.add(value=x)
    return log


SCALE = predict("scale", {"y": X * 2}, x=X, factor=np.float32(2.0))
JOIN = predict("join", {"joined": [b"a!", b"b!"]}, pair=[b"a", b"b"])


@pytest.fixture
def reference(write_logs):
    return write_logs(SCALE, JOIN, classify(), regress())


def written(version):
    return [(log, exchange(log)) for log in read_logs(version / WARMUP_FILE)]


def sizes_of(version):
    """Returns the rows of each signature's requests."""
    found = {}
    for _, asked in written(version):
        rows = max(len(value) for value in asked.inputs.values() if value.ndim)
        found.setdefault(asked.signature, []).append(rows)
    return found


def test_warmup_when_written_then_asks_every_signature_in_every_allowed_size(version, reference):
    write_warmup_requests(version, reference, SIZES, "numbers")
    batches = [1, 2, 4]
    assert sizes_of(version) == {
        "scale": batches,
        "join": [2],  # the only size that it takes
        "classify": batches,
        "regress": batches,
    }


def test_warmup_when_a_batch_is_larger_than_the_reference_then_its_rows_repeat(version, reference):
    write_warmup_requests(version, reference, SIZES, "numbers")
    largest = {asked.signature: asked.inputs for _, asked in written(version)}
    np.testing.assert_array_equal(largest["scale"]["x"], [[1.0], [2.0], [3.0], [1.0]])
    assert largest["scale"]["factor"].shape == (), "what is no batch is not repeated"
    for signature in ("classify", "regress"):
        examples = [tf.train.Example.FromString(one) for one in largest[signature]["inputs"]]
        assert examples == [*EXAMPLES, EXAMPLES[0]]


def test_warmup_when_written_then_is_of_tf_servings_kinds_with_name_and_without_answers(
    version, reference
):
    write_warmup_requests(version, reference, SIZES, "numbers")
    kinds = {}
    for log, asked in written(version):
        kind = log.WhichOneof("log_type")
        kinds[asked.signature] = kind
        assert getattr(log, kind).request.model_spec.name == "numbers"
        assert not getattr(log, kind).HasField("response")
    assert kinds == {
        "scale": "predict_log",
        "join": "predict_log",
        "classify": "classify_log",
        "regress": "regress_log",
    }


def test_warmup_when_made_of_earlier_warmup_requests_then_is_that_of_the_new_sizes(
    version, reference
):
    write_warmup_requests(version, reference, SIZES, "numbers")
    write_warmup_requests(version, version / WARMUP_FILE, [1, 3])
    assert sizes_of(version)["scale"] == [1, 3]
    largest = {asked.signature: asked.inputs for _, asked in written(version)}
    np.testing.assert_array_equal(largest["scale"]["x"], X)
    assert {log.predict_log.request.model_spec.name for log, _ in written(version)} >= {"numbers"}
    assert [path.name for path in (version / WARMUP_FILE).parent.iterdir()] == [WARMUP_FILE.name]


@pytest.mark.parametrize(
    ("batching", "sizes"),
    [
        (BatchingConfig(max_batch_size=8, allowed_batch_sizes=[2, 8]), [2, 8]),
        (BatchingConfig(max_batch_size=8), [1, 8]),
        (BatchingConfig(max_batch_size=1), [1]),
        (
            BatchingConfig(
                max_batch_size=8, enable_large_batch_splitting=True, max_execution_batch_size=4
            ),
            [1, 4],
        ),
    ],
)
def test_warmup_sizes_when_none_are_named_then_are_one_and_the_largest(batching, sizes):
    assert warmup_sizes(batching) == sizes


def test_warmup_when_there_are_too_many_sizes_then_keeps_to_a_thousand_records(version, reference):
    write_warmup_requests(version, reference, range(1, 401), "numbers")
    found = sizes_of(version)
    assert sum(len(rows) for rows in found.values()) <= 1000
    for signature in ("scale", "classify", "regress"):
        assert len(found[signature]) == 250
        assert found[signature] == sorted(set(found[signature]))
        assert (found[signature][0], found[signature][-1]) == (1, 400)


def test_warmup_when_the_logs_ask_what_the_model_has_not_then_says_so(version, write_logs):
    logs = write_logs(SCALE, predict("shrink", {}, x=X))
    with pytest.raises(ValueError, match=r"found \['shrink'\] in logs.tfrecord; allowed: .*scale"):
        write_warmup_requests(version, logs, SIZES, "numbers")
    assert not (version / WARMUP_FILE).exists()


def test_warmup_when_the_logs_have_no_rows_then_says_so(version, write_logs):
    with pytest.raises(ValueError, match="found no rows"):
        write_warmup_requests(version, write_logs(regress([])), SIZES, "numbers")
    assert not (version / WARMUP_FILE).exists()


def test_gate_when_the_warmup_requests_run_then_passes(version, reference):
    write_warmup_requests(version, reference, SIZES, "numbers")
    differences = compare_with_reference(version, reference, 1e-5)
    assert differences == dict.fromkeys(["scale", "join", "classify", "regress"], 0.0)


def test_gate_when_a_warmup_request_fails_then_refuses_and_says_which(version, reference):
    write_warmup_requests(version, reference, [1, 5], "numbers")
    with pytest.raises(ServableCheckFailed, match=r"tf_serving_warmup_requests, record 5: Inval"):
        compare_with_reference(version, reference, 1e-5)


def overwrite(version, *records):
    (version / WARMUP_FILE).parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(version / WARMUP_FILE)) as writer:
        for record in records:
            writer.write(record)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        pytest.param(b"\xff no log", "record 0: DecodeError", id="no log"),
        pytest.param(b"", "record 1: ValueError: log_type: found None", id="empty"),
        pytest.param(
            predict("shrink", {}, x=X).SerializeToString(),
            "record 1: InvalidRequest: signature: found 'shrink'",
            id="unknown signature",
        ),
        pytest.param(
            predict("scale", {}, x=X).SerializeToString(),
            r"record 1: InvalidRequest: inputs: missing \['factor'\]",
            id="missing input",
        ),
    ],
)
def test_gate_when_a_warmup_record_is_broken_then_refuses(version, reference, record, message):
    overwrite(version, record)
    with pytest.raises(ServableCheckFailed, match=message):
        compare_with_reference(version, reference, 1e-5)


def test_gate_when_a_warmup_request_is_of_another_method_then_refuses(version, reference):
    log = classify()
    log.classify_log.request.model_spec.signature_name = "regress"
    overwrite(version, log.SerializeToString())
    with pytest.raises(ServableCheckFailed, match=r"found method '.*regress'; expected '.*classif"):
        compare_with_reference(version, reference, 1e-5)


def test_gate_when_there_are_more_warmup_records_than_tf_serving_takes_then_refuses(
    version, reference
):
    overwrite(version, *[SCALE.SerializeToString()] * 1001)
    with pytest.raises(ServableCheckFailed, match=r"record 1001: .*more records than the 1000"):
        compare_with_reference(version, reference, 1e-5)


def test_gate_when_the_warmup_file_is_cut_short_then_refuses(version, reference):
    write_warmup_requests(version, reference, SIZES, "numbers")
    content = (version / WARMUP_FILE).read_bytes()
    (version / WARMUP_FILE).write_bytes(content[:-5])
    with pytest.raises(ServableCheckFailed, match=r"warmup_requests, record \d+: DataLossError"):
        compare_with_reference(version, reference, 1e-5)
