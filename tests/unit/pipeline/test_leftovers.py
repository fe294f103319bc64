"""What a killed run leaves in a real store and in folders, and what is left of it after."""

from __future__ import annotations

import pytest
from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2

from pipeline.leftovers import KILLED, clean_up, remove_outputs, remove_stale_outputs

Execution = metadata_store_pb2.Execution


class Store:
    """An MLMD store with executions in the contexts that TFX's launcher puts them in."""

    def __init__(self, path):
        config = metadata_store_pb2.ConnectionConfig()
        config.sqlite.filename_uri = str(path)
        self.store = metadata_store.MetadataStore(config)
        self._types = {
            name: self.store.put_context_type(metadata_store_pb2.ContextType(name=name))
            for name in ("pipeline", "node", "pipeline_run")
        }
        self._execution_type = self.store.put_execution_type(
            metadata_store_pb2.ExecutionType(name="AnyNode")
        )

    def put(self, pipeline, node, state, run_id="1"):
        names = {"pipeline": pipeline, "node": f"{pipeline}.{node}", "pipeline_run": run_id}
        contexts = [
            metadata_store_pb2.Context(type_id=self._types[kind], name=name)
            for kind, name in names.items()
        ]
        execution = Execution(type_id=self._execution_type, last_known_state=state)
        number, _, _ = self.store.put_execution(
            execution, [], contexts, reuse_context_if_already_exist=True
        )
        return number

    def state(self, number):
        (execution,) = self.store.get_executions_by_id([number])
        return execution.last_known_state, KILLED in execution.custom_properties


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "metadata.sqlite")


def _write(folder):
    folder.mkdir(parents=True)
    (folder / "half").write_text("of it")
    return folder


def test_clean_up_when_a_node_was_killed_then_its_outputs_go_and_its_execution_ends(
    store, tmp_path
):
    artifacts = tmp_path / "artifacts"
    done = store.put("digits", "Trainer", Execution.COMPLETE)
    killed = store.put("digits", "Trainer", Execution.RUNNING)
    failed = store.put("digits", "Pusher", Execution.FAILED)
    kept = [_write(artifacts / "Trainer" / "model" / str(done))]
    left = [
        _write(artifacts / "Trainer" / output / str(killed)) for output in ("model", "model_run")
    ]
    left.append(_write(artifacts / "Trainer" / ".system" / "executor_execution" / str(killed)))
    kept.append(_write(artifacts / "Trainer" / ".system" / "executor_execution" / "99"))

    assert clean_up(store.store, "digits", artifacts, "2") == ["Trainer"]

    assert [folder for folder in left if folder.exists()] == []
    assert all(folder.exists() for folder in kept)
    assert store.state(killed) == (Execution.FAILED, True)
    assert store.state(done) == (Execution.COMPLETE, False)
    assert store.state(failed) == (Execution.FAILED, False)
    assert clean_up(store.store, "digits", artifacts, "2") == []


def test_clean_up_when_another_pipeline_in_the_store_runs_then_leaves_it_alone(store, tmp_path):
    other = store.put("taxi", "Trainer", Execution.RUNNING)
    store.put("digits", "Trainer", Execution.COMPLETE)
    assert clean_up(store.store, "digits", tmp_path, "2") == []
    assert store.state(other) == (Execution.RUNNING, False)


def test_clean_up_when_a_node_of_the_same_run_is_running_then_leaves_it_alone(store, tmp_path):
    artifacts = tmp_path / "artifacts"
    running = store.put("digits", "StatisticsGen", Execution.RUNNING, "2")
    output = _write(artifacts / "StatisticsGen" / "statistics" / str(running))
    assert clean_up(store.store, "digits", artifacts, "2") == []
    assert output.exists()
    assert store.state(running) == (Execution.RUNNING, False)


def test_clean_up_when_nothing_ever_ran_then_there_is_nothing_to_do(store, tmp_path):
    assert clean_up(store.store, "digits", tmp_path / "artifacts", "2") == []


def test_remove_outputs_when_an_attempt_was_killed_then_others_of_the_node_stay(tmp_path):
    node = tmp_path / "Trainer"
    gone, kept = _write(node / "model" / "7"), _write(node / "model" / "77")
    remove_outputs(node, 7)
    assert (gone.exists(), kept.exists()) == (False, True)


def test_stale_outputs_when_removed_then_only_the_folders_of_that_execution_go(tmp_path):
    own, other, mine = (
        _write(tmp_path / name) for name in ("Transform/graph/7", "Transform/graph/6", "served")
    )
    remove_stale_outputs([own, mine, tmp_path / "Transform" / "examples" / "7"], 7)
    assert [path.exists() for path in (own, other, mine)] == [False, True, True]
