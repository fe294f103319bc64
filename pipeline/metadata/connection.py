"""From the configuration to the connection that ML Metadata opens."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.metadata.config import (
    SQLITE_FILE,
    MetadataConfig,
    MysqlConfig,
    PostgresqlConfig,
    SqliteConfig,
)
from pipeline.metadata.password import read_password

if TYPE_CHECKING:
    from pipeline.config import RunConfig

_TRIES = 15
"""Of a transaction that another one got in the way of; two seconds apart, as chance has it."""

_TIMEOUTS = (
    "connect_timeout=10 keepalives_idle=30 keepalives_interval=10 keepalives_count=3 "
    "tcp_user_timeout=60000"
)
"""Of libpq, which waits for hours by itself for a machine that is gone."""


def connection_of(metadata: MetadataConfig, pipeline_root: Path, read_only: bool = False) -> Any:
    """Returns the ConnectionConfig of a pipeline's metadata, with the password as it is now.

    It is for opening the store with at once: whoever prints it prints the password.

    Args:
        read_only: a file that does not exist is then an error rather than made.

    Raises:
        MetadataError: if there is no password where the configuration says.
    """
    from ml_metadata.proto import metadata_store_pb2

    connection = metadata_store_pb2.ConnectionConfig()
    connection.retry_options.max_num_retries = _TRIES
    if isinstance(metadata, SqliteConfig):
        modes = metadata_store_pb2.SqliteMetadataSourceConfig
        connection.sqlite.filename_uri = str(pipeline_root / SQLITE_FILE)
        connection.sqlite.connection_mode = (
            modes.READONLY if read_only else modes.READWRITE_OPENCREATE
        )
    elif isinstance(metadata, PostgresqlConfig):
        # ML Metadata makes one text of these, in which a space ends a value.
        connection.postgresql.host = metadata.host
        connection.postgresql.port = f"{metadata.port} {_TIMEOUTS}"
        connection.postgresql.dbname = metadata.database
        connection.postgresql.user = _quoted(metadata.user)
        connection.postgresql.password = _quoted(read_password(metadata))
        # A wrong name would get a new and empty database.
        connection.postgresql.skip_db_creation = True
    else:
        connection.mysql.host = address_of(metadata)
        connection.mysql.port = metadata.port
        connection.mysql.database = metadata.database
        connection.mysql.user = metadata.user
        connection.mysql.password = read_password(metadata)
        connection.mysql.skip_db_creation = True
        if metadata.tls is not None:
            options = connection.mysql.ssl_options
            options.ca = str(Path(metadata.tls.ca).expanduser())
            if metadata.tls.cert and metadata.tls.key:
                options.cert = str(Path(metadata.tls.cert).expanduser())
                options.key = str(Path(metadata.tls.key).expanduser())
            # Its verify_server_cert refuses every certificate; `mysql_login` verifies them.
    return connection


def has_metadata(config: RunConfig) -> bool:
    """Returns whether there may be metadata of a run: a server is not asked."""
    is_file = isinstance(config.metadata, SqliteConfig)
    return not is_file or (config.pipeline_root / SQLITE_FILE).is_file()


def place(metadata: MetadataConfig, pipeline_root: Path) -> str:
    """Returns where the metadata are, for messages."""
    if isinstance(metadata, SqliteConfig):
        return str(pipeline_root / SQLITE_FILE)
    return f"{metadata.backend} {metadata.user}@{metadata.host}:{metadata.port}/{metadata.database}"


def address_of(mysql: MysqlConfig) -> str:
    """Returns the host; by the name localhost the client looks for a socket, whatever the port."""
    return "127.0.0.1" if mysql.host == "localhost" else mysql.host


def _quoted(value: str) -> str:
    """Returns a value as libpq's connection strings take any."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
