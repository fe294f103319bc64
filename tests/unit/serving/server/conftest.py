"""Small models that the tests of the server's core load for real."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def saved_scale(tmp_path_factory):
    """A SavedModel whose signatures are of every kind; `weight` is 2."""
    import tensorflow as tf

    class Scale(tf.Module):
        def __init__(self):
            super().__init__()
            self.weight = tf.Variable(2.0)

        @tf.function(
            input_signature=[
                tf.TensorSpec([None, 2], tf.float32, name="x"),
                tf.TensorSpec([None], tf.int64, name="count"),
            ]
        )
        def scale(self, x, count):
            return {"y": x * self.weight, "count": count + 1, "rows": tf.reduce_sum(x, axis=1)}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
        def loud(self, text):
            return {"loud": tf.strings.join([text, "!"])}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="inputs")])
        def classify(self, inputs):
            parsed = tf.io.parse_example(inputs, {"x": tf.io.FixedLenFeature([], tf.float32)})
            scores = tf.stack([parsed["x"], 1 - parsed["x"]], axis=1)
            return {"scores": scores}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
        def picky(self, x):
            tf.debugging.assert_non_negative(x, message="x is negative")
            return {"y": tf.sqrt(x)}

        @tf.function(input_signature=[tf.TensorSpec(None, tf.float32, name="x")])
        def any_rank(self, x):
            return {"total": tf.reduce_sum(x)}

        @tf.function(input_signature=[tf.TensorSpec([None, None], tf.float32, name="x")])
        def any_width(self, x):
            return {"total": tf.reduce_sum(x, axis=1)}

    folder = tmp_path_factory.mktemp("scale") / "model"
    module = Scale()
    names = ("loud", "classify", "picky", "any_rank", "any_width")
    signatures = {name: getattr(module, name) for name in names}
    tf.saved_model.save(module, str(folder), {"serving_default": module.scale, **signatures})
    return folder


@pytest.fixture
def put_version(saved_scale, tmp_path):
    """Puts the model under `tmp_path/<name>` as a version, at once and whole; returns its folder.

    `prepare` is given the folder before it is in place.
    """

    def put(version, name="m", prepare=lambda folder: None):
        folder = tmp_path / name / str(version)
        staged = Path(shutil.copytree(saved_scale, tmp_path / f".staged-{name}-{version}"))
        prepare(staged)
        folder.parent.mkdir(exist_ok=True)
        return staged.rename(folder)

    return put


@pytest.fixture(scope="session")
def write_warmup():
    """Writes PredictionLogs, or any bytes, beside a SavedModel as its warmup requests."""
    import tensorflow as tf

    def write(folder, *records):
        path = folder / "assets.extra" / "tf_serving_warmup_requests"
        path.parent.mkdir(exist_ok=True)
        with tf.io.TFRecordWriter(str(path)) as writer:
            for record in records:
                is_message = hasattr(record, "SerializeToString")
                writer.write(record.SerializeToString() if is_message else record)
        return path

    return write
