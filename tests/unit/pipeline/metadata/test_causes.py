"""What errors of ML Metadata's clients mean: the texts are as they came from real servers."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.metadata.causes import explain

ROOT = Path("/runs/digits")
LIBPQ = "E1129 21:00:41.165988 1 postgresql_metadata_source.cc:211] PostgreSQL error: "
STATEMENT = " query:  CREATE TABLE IF NOT EXISTS `Type` (    `id` INTEGER PRIMARY KEY );"
VERSION = (
    "MLMD database version 99 is greater than library version 10. Please upgrade the library to "
    "use the given database in order to prevent potential data loss."
)


@pytest.mark.parametrize(
    ("backend", "text", "told", "passes"),
    [
        (
            "postgresql",
            LIBPQ + 'FATAL:  password authentication failed for user "ann"\n\n',
            "metadata.password_env: found a password that postgresql ann@127.0.0.1:5432/lineage "
            'does not take for ann: password authentication failed for user "ann"; allowed: ',
            False,
        ),
        (
            "postgresql",
            LIBPQ + 'FATAL:  database "lineage" does not exist',
            "metadata.database: found lineage, which 127.0.0.1 does not have; allowed: a database "
            "that exists: `CREATE DATABASE lineage OWNER ann` makes it",
            False,
        ),
        (
            "postgresql",
            "PostgreSQL metadata source error: ERROR:  permission denied for schema public\nLINE 1",
            "metadata.user: found ann, who may not do what is needed in lineage: permission denied",
            False,
        ),
        (
            "postgresql",
            LIBPQ + 'FATAL:  no pg_hba.conf entry for host "10.0.0.1", user "ann"',
            "metadata.user: found ann, whom postgresql ann@127.0.0.1:5432/lineage does not let in",
            False,
        ),
        (
            "postgresql",
            LIBPQ + 'could not translate host name "db" to address: Name or service not known',
            "metadata.host: found 127.0.0.1, which is no known name",
            False,
        ),
        (
            "postgresql",
            LIBPQ + "could not connect to server: ECONNREFUSED\n\tIs the server running",
            "metadata.host: found postgresql ann@127.0.0.1:5432/lineage, which does not answer: "
            "could not connect to server: ECONNREFUSED; allowed: a server that runs and can be "
            "reached from here: start it, then the same command goes on",
            True,
        ),
        (
            "postgresql",
            "PostgreSQL metadata source error: server closed the connection unexpectedly\n\tThis",
            "which does not answer: server closed the connection unexpectedly; allowed: ",
            True,
        ),
        # What is said of a connection that broke before.
        ("postgresql", "PostgreSQL metadata source error: ", "does not answer: the conn", True),
        ("postgresql", LIBPQ + "FATAL:  the database system is starting up", "not answer", True),
        (
            "postgresql",
            LIBPQ + "FATAL:  sorry, too many clients already",
            "metadata.host: found postgresql ann@127.0.0.1:5432/lineage, which takes no more",
            True,
        ),
        (
            "mysql",
            "Access denied for user 'ann'@'localhost' (using password: YES)",
            "metadata.password_env: found a user and password that mysql ann@127.0.0.1:3306/",
            False,
        ),
        (
            "mysql",
            "Changing to database lineage in ConnectImplmysql_query failed: errno: Access denied "
            "for user 'ann'@'%' to database 'lineage', error: Access denied",
            "metadata.database: found lineage, which 127.0.0.1 does not have, or not for ann",
            False,
        ),
        ("mysql", "Unknown database 'lineage'", "`GRANT ALL ON lineage.* TO ann` make", False),
        ("mysql", "CREATE command denied to user 'ann'", "metadata.user: found ann, who", False),
        (
            "mysql",
            "mysql_query failed: errno: Lost connection to MySQL server during query, error: Lost",
            "metadata.host: found mysql ann@127.0.0.1:3306/lineage, which does not answer: ",
            True,
        ),
        ("mysql", "mysql_real_connect failed: errno: , error: ", "which does not answer", True),
        (
            "sqlite",
            f"Error when executing query: file is not a database{STATEMENT}",
            "metadata: found /runs/digits/metadata.sqlite, which is damaged: file is not a "
            "database; allowed: a whole file: put a backup in its place; or move it away",
            False,
        ),
        (
            "sqlite",
            "There are a subset of tables in MLMD instance. Errors: INTERNAL: Error when executing "
            f"query: database disk image is malformed{STATEMENT}",
            "which is damaged: database disk image is malformed; allowed: ",
            False,
        ),
        (
            "sqlite",
            "Cannot connect sqlite3 database: unable to open database file",
            "metadata: found /runs/digits/metadata.sqlite, which cannot be opened or does not",
            False,
        ),
        ("sqlite", "attempt to write a readonly database", "which cannot be written: att", False),
        ("sqlite", "database is locked", "which another process keeps locked; allowed", True),
        ("sqlite", "Concurrent writes aborted after max number of retries.", "keeps locked", True),
        ("sqlite", "database or disk is full", "allowed: a disk with room that works", False),
        (
            "sqlite",
            VERSION,
            "metadata.backend: found /runs/digits/metadata.sqlite, whose tables another version of "
            "ML Metadata made: MLMD database version 99 is greater than library version 10; all",
            False,
        ),
        ("mysql", VERSION, "metadata.backend: found mysql ann@127.0.0.1:3306/lineage", False),
        ("mysql", "There are a subset of tables in MLMD instance.", "metadata: found mysql", True),
        ("postgresql", "ERROR: duplicate key value violates", "metadata: found postgresql", True),
        ("sqlite", "what nobody has seen\nyet", "metadata.sqlite: what nobody has seen; al", False),
    ],
)  # fmt: skip
def test_error_when_explained_then_names_the_cause_the_key_and_what_to_do(
    section, backend, text, told, passes
) -> None:
    found = explain(text, section(backend), ROOT)
    assert told in str(found.error)
    assert found.passes == passes
    assert "\n" not in str(found.error)
    assert "CREATE TABLE" not in str(found.error)


def test_error_when_the_password_is_in_a_file_then_that_key_is_named(section) -> None:
    found = explain("Access denied for user 'ann'", section("mysql", password_file="f"), ROOT)
    assert found.error.key == "metadata.password_file"
