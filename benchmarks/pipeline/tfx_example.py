"""TFX's taxi example as it is shipped, in a home folder as it wants one.

    python -m benchmarks.pipeline.tfx_example SPLITS

runs the example on the CSVs in the folders `train` and `eval` of SPLITS, instead of a CSV that it
splits by itself, with the schema of `train`: everything else of it is as shipped.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from benchmarks.taxi import example_folder, taxi_csv

MODULE = "tfx.examples.chicago_taxi_pipeline.taxi_pipeline_native_keras"
STEPS = 1000
"""Of the example's training, in batches of 40."""

_NAME = "chicago_taxi_native_keras"


def prepare_home(home: Path) -> dict[str, str]:
    """Lays out the files where the example looks for them; returns the environment to run it in."""
    data = home / "taxi" / "data" / "simple"
    data.mkdir(parents=True)
    shutil.copy(taxi_csv(), data)
    shutil.copy(example_folder() / "taxi_utils_native_keras.py", home / "taxi")
    # Keras 3 does not know what the example calls.
    return {**os.environ, "HOME": str(home), "TF_USE_LEGACY_KERAS": "1"}


def node_seconds(home: Path) -> Mapping[str, float]:
    """Returns the wall time of each node of the example's run, as its metadata has it."""
    from ml_metadata.metadata_store import metadata_store
    from ml_metadata.proto import metadata_store_pb2

    config = metadata_store_pb2.ConnectionConfig()
    config.sqlite.filename_uri = str(home / "tfx" / "metadata" / _NAME / "metadata.db")
    store = metadata_store.MetadataStore(config)
    seconds = {}
    for context in store.get_contexts_by_type("node"):
        for execution in store.get_executions_by_context(context.id):
            since = execution.last_update_time_since_epoch - execution.create_time_since_epoch
            seconds[context.name.removeprefix(f"{_NAME}.")] = since / 1000
    return seconds


def pushed_model(home: Path) -> Path:
    """Returns the version that the example pushed.

    Raises:
        RuntimeError: if it pushed none.
    """
    versions = sorted((home / "taxi" / "serving_model" / _NAME).glob("*"))
    if not versions:
        raise RuntimeError("TFX's example pushed no model")
    return versions[-1]


def main() -> None:
    """Runs the example on rows that are in splits."""
    import functools
    import importlib

    from tfx.components import CsvExampleGen, SchemaGen
    from tfx.orchestration.beam.beam_dag_runner import BeamDagRunner
    from tfx.proto import example_gen_pb2

    (folder,) = sys.argv[1:]
    splits = [
        example_gen_pb2.Input.Split(name=name, pattern=f"{name}/*") for name in ("train", "eval")
    ]
    example = importlib.import_module(MODULE)
    example.CsvExampleGen = lambda input_base: CsvExampleGen(
        input_base=folder, input_config=example_gen_pb2.Input(splits=splits)
    )
    # What has no value in `eval` would be taken out of the schema, and the example needs all of it.
    example.SchemaGen = functools.partial(SchemaGen, exclude_splits=["eval"])
    BeamDagRunner().run(
        example._create_pipeline(
            pipeline_name=example._pipeline_name,
            pipeline_root=example._pipeline_root,
            data_root=example._data_root,
            module_file=example._module_file,
            metadata_path=example._metadata_path,
            serving_model_dir=example._serving_model_dir,
            beam_pipeline_args=[],
        )
    )


if __name__ == "__main__":
    main()
