"""Artifacts of TFX with a place on the disk; pictures, and folders and archives of them."""

import io
import tarfile

import numpy as np
import pytest


@pytest.fixture
def artifact(tmp_path):
    """Makes an artifact with an id and an empty folder of its own."""

    def make(artifact_class, artifact_id=0, **custom_properties):
        made = artifact_class()
        made.id = artifact_id
        folder = tmp_path / f"{artifact_class.TYPE_NAME}-{artifact_id}"
        folder.mkdir()
        made.uri = str(folder)
        for name, value in custom_properties.items():
            made.set_int_custom_property(name, value)
        return made

    return make


@pytest.fixture(scope="session")
def picture():
    """Makes a small PNG or JPEG; the same number gives the same picture."""
    import tensorflow as tf

    def make(number, kind="png", size=4):
        pixels = np.random.default_rng(number).integers(0, 256, (size, size, 3), np.uint8)
        encode = tf.io.encode_png if kind == "png" else tf.io.encode_jpeg
        return encode(pixels).numpy()

    return make


@pytest.fixture
def write_folder(tmp_path):
    """Writes files, by path and content, under a folder; None makes a folder."""

    def write(files, name="data"):
        root = tmp_path / name
        root.mkdir(exist_ok=True)
        for path, content in files.items():
            place = root / path
            (place if content is None else place.parent).mkdir(parents=True, exist_ok=True)
            if content is not None:
                place.write_bytes(content)
        return root

    return write


@pytest.fixture
def write_tar(tmp_path):
    """Writes files, by path and content, into an archive; None makes a folder.

    A tarfile.TarInfo instead of a content is the header to write as it is.
    """

    def write(files, name="data.tar"):
        path = tmp_path / name
        with tarfile.open(path, "w:gz" if name.endswith("gz") else "w") as archive:
            for member, content in files.items() if isinstance(files, dict) else files:
                header = tarfile.TarInfo(member)
                if content is None:
                    header.type = tarfile.DIRTYPE
                    archive.addfile(header)
                elif isinstance(content, tarfile.TarInfo):
                    archive.addfile(content)
                else:
                    header.size = len(content)
                    archive.addfile(header, io.BytesIO(content))
        return path

    return write


@pytest.fixture(scope="session")
def ingest():
    """Runs the executor of ExampleGen in a folder; returns the Examples artifact."""
    from tfx.dsl.components.base import base_beam_executor
    from tfx.types import standard_artifacts
    from tfx.utils import proto_utils

    from components.example_gen.executor import Executor
    from components.example_gen.query import Query

    def run(folder, data, label_values=None, fingerprint=""):
        examples = standard_artifacts.Examples()
        examples.uri = str(folder)
        context = base_beam_executor.BaseBeamExecutor.Context(
            beam_pipeline_args=["--runner=DirectRunner", "--direct_running_mode=in_memory"]
        )
        query = Query(data, "hash", label_values, fingerprint).to_proto()
        properties = {"input_config": proto_utils.proto_to_json(query)}
        Executor(context).Do({}, {"examples": [examples]}, properties)
        return examples

    return run
