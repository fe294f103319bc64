"""What a served model was asked, against what is trained on."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

COLUMNS = frozenset({"size", "hour", "payment", "tipped"})


def serialized(row):
    import tensorflow as tf

    example = tf.train.Example()
    for name, value in row.items():
        feature = example.features.feature[name]
        if isinstance(value, str):
            feature.bytes_list.value.append(value.encode())
        elif isinstance(value, float):
            feature.float_list.value.append(value)
        else:
            feature.int64_list.value.append(value)
    return example.SerializeToString()


def asked_by(form, frame):
    """Returns the rows of a frame as the records of a log: one a row, or one for all of them."""
    import tensorflow as tf
    from tensorflow_serving.apis import prediction_log_pb2

    examples = [serialized(row) for row in frame.to_dict("records")]
    if form == "examples":
        return examples
    log = prediction_log_pb2.PredictionLog()
    if form == "predict examples":
        inputs = log.predict_log.request.inputs
        inputs["examples"].CopyFrom(tf.make_tensor_proto(examples))
    elif form == "predict columns":
        for name in frame:
            values = frame[name].to_numpy()
            text = [value.encode() for value in values] if values.dtype == object else values
            log.predict_log.request.inputs[name].CopyFrom(tf.make_tensor_proto(text))
    else:
        kind = log.classify_log if form == "classify" else log.regress_log
        for example in examples:
            kind.request.input.example_list.examples.add().ParseFromString(example)
    return [log.SerializeToString()]


FORMS = ["examples", "predict examples", "predict columns", "classify", "regress"]


@pytest.fixture
def small():
    def draw(seed=0, count=200, shift=0.0):
        random = np.random.default_rng(seed)
        return pd.DataFrame(
            {
                "size": random.normal(shift, 1, count),
                "hour": random.integers(0, 24, count),
                "payment": random.choice(["card", "cash"], count),
            }
        )

    return draw


@pytest.fixture
def write_log(tmp_path):
    import tensorflow as tf

    def write(records, name="log.tfrecord"):
        path = tmp_path / name
        options = tf.io.TFRecordOptions(compression_type="GZIP" if name.endswith("gz") else "")
        with tf.io.TFRecordWriter(str(path), options) as writer:
            for record in records:
                writer.write(record)
        return str(path)

    return write


@pytest.mark.parametrize("form", FORMS)
def test_requests_when_logged_in_any_form_then_are_the_rows_that_were_asked_about(form, small):
    import tensorflow as tf

    from components.anomaly_gate.serving_logs import requested_examples

    frame = small(count=3)
    found = [
        tf.train.Example.FromString(example)
        for record in asked_by(form, frame)
        for example in requested_examples(record, COLUMNS)
    ]
    assert len(found) == 3
    for example, row in zip(found, frame.to_dict("records"), strict=True):
        feature = example.features.feature
        assert feature["payment"].bytes_list.value == [row["payment"].encode()]
        assert feature["hour"].int64_list.value == [row["hour"]]
        assert feature["size"].float_list.value == pytest.approx([row["size"]], rel=1e-6)


def test_requests_when_of_other_inputs_than_columns_then_are_passed_over(small):
    from components.anomaly_gate.serving_logs import requested_examples

    (record,) = asked_by("predict columns", small(count=3))
    assert list(requested_examples(record, frozenset({"size", "hour"}))) == []


def test_statistics_of_logs_count_every_request_of_every_file(small, write_log, tmp_path):
    import apache_beam as beam
    import tensorflow_data_validation as tfdv

    from components.anomaly_gate.serving_logs import serving_statistics

    frame = small()
    write_log(asked_by("examples", frame.iloc[:50]), "a.tfrecord")
    write_log(asked_by("classify", frame.iloc[50:]), "b.tfrecord.gz")
    schema = tfdv.infer_schema(tfdv.generate_statistics_from_dataframe(frame))
    found = serving_statistics(
        str(tmp_path / "*.tfrecord*"), beam.Pipeline(), schema, str(tmp_path)
    )
    assert found.datasets[0].num_examples == 200
    expected = tfdv.generate_statistics_from_dataframe(frame)
    means = [
        {tuple(one.path.step): one.num_stats.mean for one in statistics.datasets[0].features}
        for statistics in (found, expected)
    ]
    assert means[0] == pytest.approx(means[1], rel=1e-5)


def test_gate_when_requests_are_as_the_training_data_without_the_label_then_lets_them_through(
    gate, small, write_log
):
    data = small(0, 1000).assign(tipped=np.arange(1000) % 2)
    validate = {"skew": {"serving_logs": write_log(asked_by("predict columns", small(1)))}}
    assert gate.run(data, validate=validate).found() == []


def test_gate_when_requests_are_far_from_the_training_data_then_stops_it(gate, small, write_log):
    data = small(0, 1000).assign(tipped=np.arange(1000) % 2)
    logs = write_log(asked_by("examples", small(1, shift=2.0).assign(hour=12)))
    verdict = gate.stopped(data, validate={"skew": {"serving_logs": logs}})
    assert [(one["feature"], one["rule"], one["against"]) for one in verdict["findings"]] == [
        ("hour", "skew", "serving logs"),
        ("size", "skew", "serving logs"),
    ]
    allowed = {"features": {"size": None}, "jensen_shannon_divergence": 1.0}
    assert gate.run(data, validate={"skew": {"serving_logs": logs, **allowed}}).found() == []


def test_gate_when_requests_lack_a_column_then_stops_it_and_when_they_have_a_new_value_warns(
    gate, small, write_log
):
    data = small(0, 1000).assign(tipped=np.arange(1000) % 2)
    asked = small(1).drop(columns="hour")
    asked.loc[0, "payment"] = "voucher"
    logs = write_log(asked_by("examples", asked))
    verdict = gate.stopped(data, validate={"skew": {"serving_logs": logs}})
    assert {(one["feature"], one["rule"], one["level"]) for one in verdict["findings"]} == {
        ("hour", "column_missing", "stop"),
        ("payment", "new_category", "warn"),
    }


def test_fingerprint_when_a_log_grows_or_one_more_matches_then_is_another(write_log, tmp_path):
    from components.anomaly_gate.serving_logs import logs_fingerprint

    pattern = str(tmp_path / "*.tfrecord")
    found = [logs_fingerprint(pattern)]
    write_log([b"a"], "a.tfrecord")
    found.append(logs_fingerprint(pattern))
    assert logs_fingerprint(pattern) == found[-1]
    write_log([b"a", b"b"], "a.tfrecord")
    found.append(logs_fingerprint(pattern))
    write_log([b"a"], "b.tfrecord")
    found.append(logs_fingerprint(pattern))
    assert len(set(found)) == 4
