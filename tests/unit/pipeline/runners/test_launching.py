"""A finished node whose outputs somebody has removed, in a real store."""

from __future__ import annotations

import shutil

import pytest
from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2

from pipeline.collection.missing import MISSING
from pipeline.lineage import Lineage
from pipeline.runners.launching import _forget_vanished

LIVE, DELETED = metadata_store_pb2.Artifact.LIVE, metadata_store_pb2.Artifact.DELETED


@pytest.fixture
def store(tmp_path):
    """A store with a run, whose Transform has put out a graph and examples."""
    config = metadata_store_pb2.ConnectionConfig()
    config.sqlite.filename_uri = str(tmp_path / "metadata.sqlite")
    store = metadata_store.MetadataStore(config)
    contexts = [
        metadata_store_pb2.Context(
            type_id=store.put_context_type(metadata_store_pb2.ContextType(name=kind)), name=name
        )
        for kind, name in (("node", "digits.Transform"), ("pipeline_run", "night-1"))
    ]
    execution = metadata_store_pb2.Execution(
        type_id=store.put_execution_type(metadata_store_pb2.ExecutionType(name="Transform")),
        last_known_state=metadata_store_pb2.Execution.COMPLETE,
    )
    type_id = store.put_artifact_type(metadata_store_pb2.ArtifactType(name="Examples"))
    outputs = []
    for key in ("transform_graph", "transformed_examples"):
        folder = tmp_path / key / "1"
        folder.mkdir(parents=True)
        artifact = metadata_store_pb2.Artifact(type_id=type_id, uri=str(folder), state=LIVE)
        event = metadata_store_pb2.Event(type=metadata_store_pb2.Event.OUTPUT)
        event.path.steps.add().key = key
        outputs.append((artifact, event))
    store.put_execution(execution, outputs, contexts)
    return store


def _forget(store) -> bool:
    return _forget_vanished(store, Lineage(store, "digits", "night-1"), "Transform")


def _states(store) -> list[int]:
    return [artifact.state for artifact in store.get_artifacts()]


def test_node_when_all_that_it_put_out_is_there_then_is_left_alone(store):
    assert not _forget(store)
    assert _states(store) == [LIVE, LIVE]


def test_node_when_a_part_of_it_is_gone_then_all_of_it_is_forgotten(store, tmp_path):
    """Else the next node would be given the old examples beside the new ones."""
    shutil.rmtree(tmp_path / "transform_graph")
    assert _forget(store)
    assert _states(store) == [DELETED, DELETED]
    assert _forget(store), "until it has run again, and put out its own"


def test_node_when_what_was_missing_comes_back_then_it_stays_forgotten(store):
    graph, _ = store.get_artifacts()
    graph.state = DELETED
    graph.custom_properties[MISSING].int_value = 1
    store.put_artifacts([graph])
    assert _forget(store)
    assert not any(MISSING in artifact.custom_properties for artifact in store.get_artifacts())
