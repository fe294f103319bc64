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


@pytest.fixture
def root(tmp_path):
    """A serving directory; the tests of pushes that fail have another."""
    return tmp_path / "serving"


@pytest.fixture
def base(root):
    """The folder of the model `digits`."""
    return root / "digits"


@pytest.fixture
def push_version(tmp_path, root, write_plain_model, monkeypatch):
    """Pushes a model of its own as the version of that number."""
    from serving.config import ServeConfig
    from serving.versions import publish

    def run(version, model_name="digits", **serve):
        source = tmp_path / f"model-{version}"
        if not source.exists():
            write_plain_model(source, str(version))
        monkeypatch.setattr("serving.versions.time.time", lambda: float(version))
        config = ServeConfig.model_validate({"keep_versions": 9, **serve})
        return publish(source, root, model_name, config, {}, lambda _: None)

    return run


@pytest.fixture
def waits(monkeypatch):
    """The seconds of each wait for servers to load a version; none really waits."""
    seen = []
    monkeypatch.setattr("serving.rollout.time.sleep", seen.append)
    return seen


@pytest.fixture
def state(root):
    """Labels and served versions, as a server reads them."""
    from serving.rollout import read_served

    def read(model_name="digits"):
        served = read_served(root, model_name)
        return served.labels, served.versions

    return read


@pytest.fixture
def three(push_version):
    """Versions 1, 2 and 3 of a model."""
    for version in (1, 2, 3):
        push_version(version)
