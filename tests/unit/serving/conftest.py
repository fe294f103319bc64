"""What the tests of `serving` share: folders that stand for models, and real ones.

TensorFlow is imported inside the fixtures that need it; the rest of the folder runs without.
"""

import pytest


@pytest.fixture(scope="session")
def write_plain_model():
    """Writes a folder of plain files laid out as a SavedModel; `content` tells it from others."""

    def write(folder, content, files=2):
        (folder / "variables").mkdir(parents=True)
        (folder / "saved_model.pb").write_text(f"graph {content}")
        for index in range(files):
            (folder / "variables" / f"variables.data-{index}").write_text(f"{content} " * 50)
        return folder

    return write


@pytest.fixture(scope="session")
def snapshot():
    """Returns every path under a folder with its content, a folder's being None."""

    def take(root):
        if not root.exists():
            return None
        return {
            str(path.relative_to(root)): path.read_bytes() if path.is_file() else None
            for path in sorted(root.rglob("*"))
        }

    return take


@pytest.fixture(scope="session")
def write_reference():
    """Writes reference answers: PredictionLogs of (signature, inputs, outputs)."""
    import tensorflow as tf
    from tensorflow_serving.apis import prediction_log_pb2

    def write(path, *answers):
        with tf.io.TFRecordWriter(str(path)) as writer:
            for signature, inputs, outputs in answers:
                log = prediction_log_pb2.PredictionLog()
                log.predict_log.request.model_spec.signature_name = signature
                for name, value in inputs.items():
                    log.predict_log.request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
                for name, value in outputs.items():
                    log.predict_log.response.outputs[name].CopyFrom(tf.make_tensor_proto(value))
                writer.write(log.SerializeToString())
        return path

    return write
