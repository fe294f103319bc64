"""Opens ML Metadata's store: waits for what passes, and tells the cause of what does not."""

from __future__ import annotations

import contextlib
import os
import random
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.metadata.causes import Explained, explain, explain_refusal
from pipeline.metadata.config import MetadataConfig, MysqlConfig, PostgresqlConfig
from pipeline.metadata.connection import connection_of
from pipeline.metadata.errors import MetadataError
from pipeline.metadata.mysql_login import login
from pipeline.metadata.password import read_password

if TYPE_CHECKING:
    from pipeline.config import RunConfig

PATIENCE = 20.0
"""Seconds that a node waits for a database that does not answer: a restart, a failover."""


_CLIENT = r"[IWE]\d{4} .* postgresql_metadata_source\.cc|WARNING: Logging before Init|\t|$"
"""What a line of ML Metadata's client on stderr begins with."""


def open_mlmd(
    metadata: MetadataConfig, pipeline_root: Path, read_only: bool = False, patience: float = 0.0
) -> Any:
    """Returns an open MetadataStore.

    Args:
        read_only: a file that does not exist is an error rather than made.
        patience: seconds to go on trying for, if the cause may pass.

    Raises:
        MetadataError: if the store does not open.
    """
    deadline = time.monotonic() + patience
    while True:
        found = _try(metadata, pipeline_root, read_only)
        if not isinstance(found, Explained):
            return found
        if not found.passes or time.monotonic() > deadline:
            raise found.error
        # Others that wait for the same do not all come at once.
        time.sleep(random.uniform(0.2, 1.0))


def metadata_cause(error: BaseException, config: RunConfig) -> MetadataError | None:
    """Returns what an error that a store's user met means; None if the store did not raise it."""
    from ml_metadata import errors

    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, MetadataError):
            return inner
        # Not those that tell of what is looked for or put in.
        if isinstance(inner, (errors.InternalError, errors.AbortedError, errors.UnavailableError)):
            return explain(str(inner), config.metadata, config.pipeline_root).error
        inner = inner.__cause__ or inner.__context__
    return None


def _try(metadata: MetadataConfig, pipeline_root: Path, read_only: bool) -> Any:
    """Returns an open store, or why it does not open."""
    from absl import logging
    from ml_metadata import errors, metadata_store

    if isinstance(metadata, MysqlConfig):
        refusal = login(metadata, read_password(metadata))
        if refusal is not None:
            return explain_refusal(refusal, metadata, pipeline_root)
    connection = connection_of(metadata, pipeline_root, read_only)
    verbosity = logging.get_verbosity()
    # To a log that takes details the store tells its connection.
    logging.set_verbosity(min(verbosity, logging.INFO))
    log: list[str] = []
    try:
        if not isinstance(metadata, PostgresqlConfig):
            return metadata_store.MetadataStore(connection)
        from pipeline.metadata.postgresql_store import PostgresqlStore

        with _logged(log, connection.postgresql.password):
            return PostgresqlStore(connection)
    except (RuntimeError, errors.StatusError) as error:
        causes = [line for line in log if "PostgreSQL error: " in line]
        return explain("\n".join([*causes, str(error)]), metadata, pipeline_root)
    finally:
        logging.set_verbosity(verbosity)
        # The store keeps the object.
        connection.Clear()


@contextlib.contextmanager
def _logged(lines: list[str], secret: str) -> Iterator[None]:
    """Collects what native code writes to stderr, without a secret.

    PostgreSQL's client gives the cause of a failure there alone.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as file:
        saved = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            file.seek(0)
            lines.extend(file.read().decode(errors="replace").replace(secret, "***").splitlines())
            # Of its own lines the cause is told; what others wrote meanwhile is theirs.
            sys.stderr.writelines(f"{line}\n" for line in lines if not re.match(_CLIENT, line))
