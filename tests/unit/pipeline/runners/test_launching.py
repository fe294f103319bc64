"""A node that runs twice in a run: what the books of a real store then say."""

from __future__ import annotations

import shutil
import sys
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2
from tfx.proto.orchestration import pipeline_pb2
from tfx.types import standard_artifacts

from pipeline.collection.missing import MISSING
from pipeline.lineage import Lineage
from pipeline.runners import launching
from pipeline.runners.launcher import Launcher
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


def test_node_when_its_code_ends_the_process_then_has_failed(store, monkeypatch):
    """Else a scheduler would take the exit code for the node's."""
    monkeypatch.setattr(
        launching, "open_store", lambda _: nullcontext(SimpleNamespace(store=store))
    )
    ending = SimpleNamespace(launch=lambda: sys.exit(0))
    monkeypatch.setattr(launching, "_make_launcher", lambda *_: ending)
    config = SimpleNamespace(name="digits")
    with pytest.raises(RuntimeError, match=r"the code of Trainer called sys\.exit\(0\)"):
        launching._launch(pipeline_pb2.Pipeline(), "Trainer", config, "night-1")


@pytest.fixture
def examples(store):
    """Two artifacts that a node may be given."""
    return store.get_artifacts()


@pytest.fixture
def register(store):
    """Registers an attempt of the Trainer in the run, as TFX's launcher does, given artifacts."""
    run = store.get_context_by_type_and_name("pipeline_run", "night-1")
    node = metadata_store_pb2.Context(
        type_id=store.get_context_type("node").id, name="digits.Trainer"
    )
    (node.id,) = store.put_contexts([node])
    launcher = object.__new__(Launcher)  # without the IR of a pipeline
    launcher._afresh = False
    launcher._pipeline_node = SimpleNamespace(
        node_info=SimpleNamespace(type=metadata_store_pb2.ExecutionType(name="Trainer"))
    )

    def register(*given):
        inputs = {}
        if given:
            inputs["examples"] = [standard_artifacts.Examples() for _ in given]
            for artifact, found in zip(inputs["examples"], given, strict=True):
                artifact.set_mlmd_artifact(found)
        handle = SimpleNamespace(store=store)
        return launcher._register_or_reuse_execution(handle, [node, run], inputs, {})

    return register


def _inputs(store, execution) -> list[int]:
    return [event.artifact_id for event in store.get_events_by_execution_ids([execution.id])]


def test_attempt_when_given_what_the_one_before_was_then_is_the_same_execution(
    register, store, examples
):
    first = register(*examples)
    assert register(*examples).id == first.id
    assert sorted(_inputs(store, first)) == sorted(found.id for found in examples)


def test_attempt_when_given_something_else_then_the_books_have_both(register, store, examples):
    """Else they would say that what it puts out was made of what is gone."""
    first, second = register(examples[0]), register(examples[1])
    assert _inputs(store, first) == [examples[0].id]
    assert _inputs(store, second) == [examples[1].id]
    (before,) = store.get_executions_by_id([first.id])
    assert before.last_known_state == metadata_store_pb2.Execution.FAILED


def test_attempt_when_the_one_before_was_given_nothing_then_the_books_have_its_inputs(
    register, store, examples
):
    register()
    assert _inputs(store, register(examples[0])) == [examples[0].id]


def test_attempt_when_the_one_before_has_ended_well_then_is_that(register, store, examples):
    first = register(examples[0])
    first.last_known_state = metadata_store_pb2.Execution.COMPLETE
    store.put_executions([first])
    assert register(examples[1]).id == first.id
