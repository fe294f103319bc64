"""Opening the records: on servers too, and what is told when they cannot be had."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from ml_metadata import errors

from pipeline.config import RunConfig
from pipeline.metadata import mysql_login, postgresql_store
from pipeline.metadata.connection import connection_of
from pipeline.metadata.errors import MetadataError
from pipeline.metadata.postgresql_store import PostgresqlStore
from pipeline.provenance.records import open_records

PASSWORD = "s3cret"


def on_server(config: RunConfig, backend: str, port: int, **changes: Any) -> RunConfig:
    """Returns the configuration with its metadata on a server of this machine."""
    values = config.model_dump()
    values["metadata"] = {
        "backend": backend, "host": "127.0.0.1", "port": port, "database": "lineage", "user": "ann",
        "password_env": "METADATA_PASSWORD", **changes,
    }  # fmt: skip
    return RunConfig.model_validate(values)


@contextmanager
def listening() -> Iterator[int]:
    """A server that takes connections and says nothing; yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def on_postgresql(books, monkeypatch) -> RunConfig:
    """A configuration on PostgreSQL, with the file in place of the server."""
    monkeypatch.setenv("METADATA_PASSWORD", PASSWORD)
    store = PostgresqlStore(connection_of(books.config.metadata, books.root))
    monkeypatch.setattr(books, "_store", store)
    monkeypatch.setattr(postgresql_store, "PostgresqlStore", lambda _connection: store)
    return on_server(books.config, "postgresql", 5432)


def test_records_when_on_postgresql_then_json_in_json_is_read(books, on_postgresql) -> None:
    pattern = json.dumps({"data": {"source": "csv"}})
    books.ran("a", "ExampleGen", input_config={"splits": [{"pattern": pattern}]})
    with open_records(on_postgresql) as records:
        (execution,) = records.of_run("a")
    (split,) = execution.parameters["input_config"]["splits"]
    assert split["pattern"] == {"data": {"source": "csv"}}


def test_server_when_silent_then_is_given_up_and_the_cause_is_told(
    books, monkeypatch, capfd
) -> None:
    monkeypatch.setenv("METADATA_PASSWORD", PASSWORD)
    monkeypatch.setattr(mysql_login, "_TIMEOUT", 0.1)
    with (
        listening() as port,
        pytest.raises(MetadataError) as caught,
        open_records(on_server(books.config, "mysql", port)),
    ):
        pass
    place = f"mysql ann@127.0.0.1:{port}/lineage"
    assert str(caught.value).startswith(
        f"metadata.host: found {place}, which does not answer: timed out; allowed: "
    )
    assert capfd.readouterr().err == ""


def test_store_when_it_is_lost_while_it_is_read_then_the_cause_is_told(books) -> None:
    with pytest.raises(MetadataError, match=r"metadata: found .*, which is damaged"):  # noqa: SIM117
        with open_records(books.config):
            raise errors.InternalError("database disk image is malformed")
    # What is asked wrongly is no fault of the store.
    with pytest.raises(errors.NotFoundError), open_records(books.config):
        raise errors.NotFoundError("x")
