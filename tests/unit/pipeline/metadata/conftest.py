"""Configurations of metadata, and servers that play a part."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from pipeline.config import RunConfig
from pipeline.config_file import load_config
from pipeline.metadata.config import MetadataConfig

_SECTION: TypeAdapter[Any] = TypeAdapter(MetadataConfig)


@pytest.fixture(scope="session")
def section() -> Callable[..., Any]:
    """Makes a `metadata` section; of a server with what it needs, where nothing else is said."""

    def make(backend: str = "sqlite", **changes: Any) -> Any:
        values: dict[str, Any] = {"backend": backend}
        if backend != "sqlite":
            values |= {
                "host": "127.0.0.1", "database": "lineage", "user": "ann",
                "password_env": None if "password_file" in changes else "METADATA_PASSWORD",
            }  # fmt: skip
        return _SECTION.validate_python(values | changes)

    return make


@pytest.fixture
def load(write_config, tmp_path, monkeypatch) -> Callable[..., RunConfig]:
    """Loads the ready digits configuration with overrides, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return lambda *overrides: load_config(str(write_config()), overrides)


@pytest.fixture
def closed_port() -> int:
    """A port of this machine that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def serve_once() -> Iterator[Callable[[Callable[[socket.socket], None]], int]]:
    """Starts a server that holds one conversation; returns its port."""
    threads = []

    def serve(converse: Callable[[socket.socket], None]) -> int:
        listener = socket.create_server(("127.0.0.1", 0))

        def answer() -> None:
            with listener:
                connection, _ = listener.accept()
                with connection:
                    converse(connection)

        threads.append(threading.Thread(target=answer, daemon=True))
        threads[-1].start()
        return int(listener.getsockname()[1])

    yield serve
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


@pytest.fixture
def pipeline_root(tmp_path: Path) -> Path:
    """A pipeline's folder with metadata."""
    from pipeline.metadata.config import SqliteConfig
    from pipeline.metadata.opening import open_mlmd

    root = tmp_path / "runs" / "digits"
    root.mkdir(parents=True)
    open_mlmd(SqliteConfig(), root)
    return root
