"""What is compiled, logged and pickled knows no password, and needs none."""

from __future__ import annotations

import pickle

import pytest
from tfx.proto.orchestration import pipeline_pb2

from pipeline.checks import check_task
from pipeline.compiler import compile_pipeline
from pipeline.config_file import Source, dump_config
from pipeline.metadata.store import store_handle
from pipeline.runners.local import LocalRunner

SERVER = (
    "metadata={backend: postgresql, host: db.example.org, database: lineage, user: ann, "
    "password_env: METADATA_PASSWORD}"
)


@pytest.fixture
def config(load, monkeypatch):
    config = load(SERVER)
    monkeypatch.setenv("METADATA_PASSWORD", "s3cret")
    return config


def test_compiled_pipeline_when_metadata_are_on_a_server_then_has_no_connection(
    config, monkeypatch
) -> None:
    monkeypatch.delenv("METADATA_PASSWORD")
    ir = compile_pipeline(config, check_task(config, Source("run.yaml")))
    deployment = pipeline_pb2.IntermediateDeploymentConfig()
    assert ir.deployment_config.Unpack(deployment)
    assert not deployment.HasField("metadata_connection_config")
    assert b"db.example.org" not in ir.SerializeToString()


def test_what_is_logged_and_pickled_when_a_run_starts_then_is_without_the_password(config) -> None:
    runner = LocalRunner()
    runner._config = config
    # TFX logs it at INFO, and Beam pickles it with each node.
    connection = runner._connection_config_from_deployment_config(None)
    handle = store_handle(config)
    for thing in (connection, handle):
        assert b"s3cret" not in pickle.dumps(thing)
        assert "s3cret" not in f"{thing} {thing!r} {vars(thing)}"
    assert "s3cret" not in dump_config(config)
