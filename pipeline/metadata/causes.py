"""What ML Metadata's errors mean, and what a person does about them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from pipeline.metadata.config import (
    MetadataConfig,
    MysqlConfig,
    PostgresqlConfig,
    SqliteConfig,
)
from pipeline.metadata.connection import place
from pipeline.metadata.errors import MetadataError
from pipeline.metadata.mysql_login import Refusal

_AGAIN = "then the same command goes on"


@dataclass(frozen=True)
class _Cause:
    """One line of a table: what an error says, and what is made of it.

    Attributes:
        pattern: of the text of the error.
        key: of the configuration; `password` is whichever of its two keys is set.
        found: what is wrong; {place}, {user}, {host}, {database}, {said}: what the error said.
        allowed: what to do.
        passes: it may be over in a moment.
    """

    pattern: str
    key: str
    found: str
    allowed: str
    passes: bool = False


_SILENT = _Cause(
    r"ECONNREFUSED|could not connect|[Cc]onnection refused|timeout expired|timed out|"
    r"server closed the connection|terminating connection|[Ll]ost connection|has gone away|"
    r"is starting up|is shutting down|in recovery mode|"
    # What the client says of a connection that broke before.
    r"PostgreSQL metadata source error: *$|mysql_real_connect failed: errno: , error: *$",
    "host",
    "{place}, which does not answer: {said}",
    f"a server that runs and can be reached from here: start it, {_AGAIN}",
    passes=True,
)

_FULL_SERVER = _Cause(
    r"too many clients|remaining connection slots|[Tt]oo many connections",
    "host",
    "{place}, which takes no more connections: {said}",
    f"a server with connections to spare: wait, or raise its limit, {_AGAIN}",
    passes=True,
)

_VERSION = _Cause(
    r"MLMD database version \d+ is (greater|older) than library version \d+",
    "backend",
    "{place}, whose tables another version of ML Metadata made: {said}",
    "tables of this version: use the packages that made them, or another database",
)

_POSTGRESQL = (
    _Cause(
        r"password authentication failed|no password supplied",
        "password",
        "a password that {place} does not take for {user}: {said}",
        "the password of that user; `ALTER USER` on the server sets one",
    ),
    _Cause(
        r"database \S+ does not exist",
        "database",
        "{database}, which {host} does not have",
        "a database that exists: `CREATE DATABASE {database} OWNER {user}` makes it",
    ),
    _Cause(
        r"permission denied|must be owner",
        "user",
        "{user}, who may not do what is needed in {database}: {said}",
        "the owner of the database: `ALTER DATABASE {database} OWNER TO {user}`",
    ),
    _Cause(
        r"no pg_hba.conf entry|not permitted to log in|pg_hba.conf rejects",
        "user",
        "{user}, whom {place} does not let in: {said}",
        "a user that the server's pg_hba.conf lets in from here, without TLS",
    ),
    _Cause(
        r"could not translate host name",
        "host",
        "{host}, which is no known name: {said}",
        "the name or address of the server, as it is known here",
    ),
)

_MYSQL = (
    _Cause(
        r"Access denied for user .* to database|Unknown database",
        "database",
        "{database}, which {host} does not have, or not for {user}: {said}",
        "a database that exists and is granted: `CREATE DATABASE {database}` and "
        "`GRANT ALL ON {database}.* TO {user}` make it so",
    ),
    _Cause(
        r"command denied",
        "user",
        "{user}, who may not do what is needed in {database}: {said}",
        "a user with all rights there: `GRANT ALL ON {database}.* TO {user}`",
    ),
    _Cause(
        r"Access denied for user",
        "password",
        "a user and password that {place} does not take: {said}",
        "those of an account that may log in from here; one that requires TLS needs metadata.tls",
    ),
    _Cause(
        r"^TLS: ",
        "tls",
        "{place}: {said}",
        "certificates that fit the server, and a server that offers TLS",
    ),
    _Cause(
        r"logs in by \w+",
        "user",
        "{user}, on {place}: {said}",
        "a user made with `IDENTIFIED WITH mysql_native_password`",
    ),
    _Cause(
        r"Name or service not known|name resolution|No address associated",
        "host",
        "{host}, which is no known name: {said}",
        "the name or address of the server, as it is known here",
    ),
    _Cause(
        r"does not speak MySQL",
        "port",
        "{place}: {said}",
        "the port of a MySQL or MariaDB server",
    ),
)

_RACE = (
    r"subset of tables|concurrent connection|already exists|duplicate key|Duplicate entry|"
    r"[Dd]eadlock"
)

_SQLITE = (
    _Cause(
        r"file is not a database|database disk image is malformed|unsupported file format",
        "",
        "{place}, which is damaged: {said}",
        "a whole file: put a backup in its place; or move it away, and the next run begins a new "
        "one and computes every node again",
    ),
    _Cause(
        r"readonly database|read-only",
        "",
        "{place}, which cannot be written: {said}",
        f"a file and a folder that can be written: mend their rights, {_AGAIN}",
    ),
    _Cause(
        r"unable to open database file",
        "",
        "{place}, which cannot be opened or does not exist",
        "a file that can be read and written, in such a folder",
    ),
    _Cause(
        r"database is locked|Concurrent writes aborted",
        "",
        "{place}, which another process keeps locked",
        f"a file that nobody else holds open in a transaction: end that process, {_AGAIN}",
        passes=True,
    ),
    _Cause(
        r"disk is full|disk I/O error",
        "",
        "{place}: {said}",
        f"a disk with room that works: make some, {_AGAIN}",
    ),
)


@dataclass(frozen=True)
class Explained:
    """An error in a user's words; `passes` if to try again may help."""

    error: MetadataError
    passes: bool


def explain(text: str, metadata: MetadataConfig, pipeline_root: Path) -> Explained:
    """Returns what an error of ML Metadata's means.

    Args:
        text: of the error, and of what its client logged about it.
    """
    kinds: tuple[_Cause, ...] = _SQLITE
    if isinstance(metadata, PostgresqlConfig):
        kinds = (*_POSTGRESQL, _FULL_SERVER, _SILENT)
    elif isinstance(metadata, MysqlConfig):
        kinds = (*_MYSQL, _FULL_SERVER, _SILENT)
    # Of several processes that open an empty database at once, one makes the tables.
    is_race = re.search(_RACE, text) is not None and "malformed" not in text
    for cause in (_VERSION, *kinds):
        match = re.search(cause.pattern, text, re.MULTILINE)
        if match and not is_race:
            return Explained(
                _error(cause, _line(text, match), metadata, pipeline_root), cause.passes
            )
    unknown = _Cause("", "", "{place}: {said}", "metadata that can be read and written")
    first = next((line.strip() for line in text.splitlines() if line.strip()), "no message")
    return Explained(_error(unknown, first, metadata, pipeline_root), is_race)


def explain_refusal(refusal: Refusal, mysql: MysqlConfig, pipeline_root: Path) -> Explained:
    """Returns what a server's refusal of a login means."""
    if refusal.is_silent and "not known" not in refusal.text:
        return Explained(_error(_SILENT, refusal.text, mysql, pipeline_root), True)
    return explain(refusal.text, mysql, pipeline_root)


def _line(text: str, match: re.Match[str]) -> str:
    """Returns the line that was matched, without what the client puts before it."""
    begin = text.rfind("\n", 0, match.start()) + 1
    line = text[begin:].splitlines()[0] if text[begin:] else ""
    line = re.sub(
        r"^(.*?(FATAL|ERROR|PostgreSQL error|source error|executing query): *)+", "", line
    )
    # A statement says nothing to a user.
    line = re.sub(r" +query: .*$", "", line).strip()
    return line.split(". ")[0][:200] or "the connection is lost"


def _error(cause: _Cause, said: str, metadata: MetadataConfig, root: Path) -> MetadataError:
    values = {"place": place(metadata, root), "said": said}
    key = cause.key
    if not isinstance(metadata, SqliteConfig):
        values |= {"user": metadata.user, "host": metadata.host, "database": metadata.database}
        if key == "password":
            key = "password_env" if metadata.password_env is not None else "password_file"
    full_key = f"metadata.{key}" if key else "metadata"
    return MetadataError(full_key, cause.found.format(**values), cause.allowed.format(**values))
