"""Rows that may lack anything, from Transform's output to a SavedModel, by a run and by a job."""

from __future__ import annotations

from pathlib import Path

import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip
import tensorflow_transform as tft  # isort: skip
from google.protobuf import text_format  # isort: skip
from tensorflow_transform.tf_metadata import dataset_metadata, metadata_io  # isort: skip
from tfx.components.trainer.fn_args_utils import FnArgs  # isort: skip

from serving.client.metadata import read_signatures  # isort: skip
from serving.servable_check import compare_with_reference  # isort: skip
from tests import flats  # isort: skip
from tests.flats import BIDS, LABEL, ROOMS, ROWS, SIZE, TAGS, TOWN  # isort: skip
from trainer_module import reference  # isort: skip
from trainer_module.config.job import DataConfig, Job  # isort: skip
from trainer_module.job import export  # isort: skip
from trainer_module.run_fn import RAW_EXAMPLES, run_fn  # isort: skip

TASK = {"name": "tests.flats.Flats"}
TRAIN = {"epochs": 1, "batch_size": 2}
SHAPES = {SIZE: 1, ROOMS: 1, TOWN: 1, TAGS: 2, BIDS: 2}
"""Rank of each input of the raw signatures."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """What ExampleGen, SchemaGen and Transform leave for the Trainer."""
    folder = tmp_path_factory.mktemp("flats")
    transform, features = flats.analyze(folder)
    # Transform's library alone does not write this, the component does.
    raw = folder / "output" / tft.TFTransformOutput.RAW_METADATA_DIR
    metadata_io.write_metadata(dataset_metadata.DatasetMetadata(flats.SCHEMA), str(raw))
    (folder / "schema.pbtxt").write_text(text_format.MessageToString(flats.SCHEMA, as_utf8=True))
    coder = tft.coders.ExampleProtoCoder(transform.transformed_metadata.schema)
    _write(folder / "transformed.gz", [coder.encode(row) for row in features])
    _write(folder / "raw.gz", [flats.example(row) for row in ROWS])
    return folder


def _write(path: Path, records: list[bytes]) -> None:
    with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
        for record in records:
            writer.write(record)


def _ranks(saved_model: Path) -> dict[str, int]:
    inputs = read_signatures(saved_model)["serving_raw"].inputs
    return {name: len(spec.shape) for name, spec in inputs.items()}


def test_model_when_trained_on_such_rows_then_is_exported_as_their_schema_has_them(
    folder, tmp_path
):
    transformed, transform = [str(folder / "transformed.gz")], str(folder / "output")
    (tmp_path / "model_run").mkdir()
    run_fn(
        FnArgs(
            custom_config={
                RAW_EXAMPLES: [str(folder / "raw.gz")],
                **{"task": TASK, "train": TRAIN, "label": LABEL, "code": "c0de"},
                "checkpoint_root": str(tmp_path / "checkpoints"),
            },
            train_files=transformed,
            eval_files=transformed,
            transform_graph_path=transform,
            schema_path=str(folder / "schema.pbtxt"),
            serving_model_dir=str(tmp_path / "model"),
            model_run_dir=str(tmp_path / "model_run"),
            base_model=None,
        )
    )
    assert _ranks(tmp_path / "model") == SHAPES
    answers = tmp_path / "model_run" / reference.FILE_NAME
    assert "serving_raw" in compare_with_reference(tmp_path / "model", answers, 1e-5)

    (checkpoints,) = (tmp_path / "checkpoints").glob("Flats-*")
    data = DataConfig(train=transformed, eval=transformed, transform=transform)
    job = Job(task=TASK, train=TRAIN, data=data, folder=str(checkpoints), label=LABEL)
    export(job, str(tmp_path / "of_job"))
    assert _ranks(tmp_path / "of_job") == SHAPES
