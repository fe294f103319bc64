"""A store as nodes use it: by several processes at once, and for whatever text."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from ml_metadata.proto import metadata_store_pb2 as mlmd

from pipeline.metadata.config import SqliteConfig
from pipeline.metadata.opening import open_mlmd
from tests.database_servers import USER

# Each node opens the store, and registers types, an execution, an artifact and contexts in it.
_PUBLISH = """
import json, sys
from pathlib import Path
from ml_metadata.proto import metadata_store_pb2 as mlmd
from pydantic import TypeAdapter
from pipeline.metadata.config import MetadataConfig
from pipeline.metadata.opening import open_mlmd
section = TypeAdapter(MetadataConfig).validate_python(json.loads(sys.argv[1]))
root, name, count = Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
print("ready", flush=True)
sys.stdin.readline()
for index in range(count):
    store = open_mlmd(section, root, patience=60)
    execution_type = store.put_execution_type(mlmd.ExecutionType(name="Node"))
    artifact_type = store.put_artifact_type(mlmd.ArtifactType(name="Data"))
    context_type = store.put_context_type(mlmd.ContextType(name="pipeline"))
    store.put_execution(
        mlmd.Execution(type_id=execution_type),
        [(mlmd.Artifact(type_id=artifact_type, uri=f"{name}/{index}"), mlmd.Event(type=4))],
        [mlmd.Context(type_id=context_type, name="shared")],
        True,
    )
"""

TEXTS = [
    json.dumps({"a": json.dumps({"b": "say \\ \"x\""})}),
    "it's 100% '; DROP TABLE Type; --",
    "日本 héré 😀\nline\ttab",
    "x" * 100_000,
]  # fmt: skip


def test_processes_when_they_publish_at_once_then_all_succeed(metadata_backend, tmp_path) -> None:
    names, count = ("a", "b", "c"), 5
    processes = [
        subprocess.Popen(
            [
                sys.executable, "-c", _PUBLISH,
                json.dumps(metadata_backend.section), str(tmp_path), name, str(count),
            ],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, **metadata_backend.env},
        )
        for name in names
    ]  # fmt: skip
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    for process in processes:
        _, stderr = process.communicate(timeout=300)
        assert process.returncode == 0, stderr

    store = metadata_backend.open(tmp_path)
    uris = sorted(artifact.uri for artifact in store.get_artifacts())
    assert uris == sorted(f"{name}/{index}" for name in names for index in range(count))
    assert len(store.get_executions()) == len(names) * count
    (shared,) = store.get_contexts()
    assert len(store.get_executions_by_context(shared.id)) == len(names) * count


def test_texts_when_put_in_then_come_out_as_they_were(metadata_backend, tmp_path) -> None:
    store = metadata_backend.open(tmp_path)
    type_id = store.put_artifact_type(mlmd.ArtifactType(name="Data"))
    artifact = mlmd.Artifact(type_id=type_id, uri="/a\\b/it's")
    for number, text in enumerate(TEXTS):
        artifact.custom_properties[f"key {number} \\ 日本"].string_value = text
    store.put_artifacts([artifact])
    (found,) = metadata_backend.open(tmp_path).get_artifacts_by_uri("/a\\b/it's")
    assert dict(found.custom_properties) == dict(artifact.custom_properties)


@pytest.fixture
def without_indices(metadata_backend):
    """PostgreSQL as it is with few rows once it has counted them: it reads the whole table."""
    if metadata_backend.name != "postgresql":
        yield
        return
    for kind in ("indexscan", "bitmapscan"):
        metadata_backend.server.sql(f"ALTER ROLE {USER} SET enable_{kind} = off")
    yield
    metadata_backend.server.sql(f"ALTER ROLE {USER} RESET ALL")


def test_artifacts_when_one_was_changed_since_then_come_in_the_order_of_their_ids(
    metadata_backend, without_indices, tmp_path
) -> None:
    """By which TFX gives the outputs of a cached node their names."""
    store = metadata_backend.open(tmp_path)
    type_id = store.put_artifact_type(mlmd.ArtifactType(name="Data"))
    ids = store.put_artifacts([mlmd.Artifact(type_id=type_id, uri=f"/{n}") for n in range(3)])
    for changed in ids[:2]:
        (artifact,) = store.get_artifacts_by_id([changed])
        artifact.custom_properties["changed"].int_value = 1
        store.put_artifacts([artifact])
    assert [artifact.id for artifact in store.get_artifacts_by_id(ids)] == ids
    assert [artifact.id for artifact in store.get_artifacts_by_id([*ids, 999])] == ids


def test_store_when_only_read_then_is_not_written(pipeline_root, tree) -> None:
    before = tree(pipeline_root)
    assert open_mlmd(SqliteConfig(), pipeline_root, read_only=True).get_executions() == []
    assert tree(pipeline_root) == before
