"""What real servers refuse, and what is made of it."""

from __future__ import annotations

import subprocess
import time

import pytest
from pydantic import TypeAdapter

from pipeline.metadata import mysql_login
from pipeline.metadata.config import MetadataConfig
from pipeline.metadata.errors import MetadataError
from pipeline.metadata.opening import open_mlmd
from tests.database_servers import PASSWORD, PASSWORD_ENV

_SECTION = TypeAdapter(MetadataConfig)
BACKENDS = pytest.mark.parametrize("name", ["postgresql", "mysql"])


@pytest.fixture
def told(tmp_path, monkeypatch):
    """Returns what opening the metadata with a changed section says; nothing if they open."""

    def open_(backend, password: str = PASSWORD, **changes) -> str:
        monkeypatch.setenv(PASSWORD_ENV, password)
        try:
            open_mlmd(_SECTION.validate_python({**backend.section, **changes}), tmp_path)
        except MetadataError as error:
            assert password not in str(error)
            return str(error)
        return ""

    return open_


def _start_message(key: str, found: str) -> str:
    return f"metadata.{key}: found {found}"


@BACKENDS
def test_server_when_all_is_right_then_opens_by_name_and_by_address(
    name, database_server, told
) -> None:
    backend = database_server(name).new_backend()
    assert told(backend) == ""
    assert told(backend, host="localhost") == ""


@BACKENDS
def test_server_when_the_password_is_wrong_then_says_so(name, database_server, told, capfd) -> None:
    backend = database_server(name).new_backend()
    found = told(backend, password="wr0ng it's")
    assert found.startswith(f"metadata.{'password_env'}: found a ")
    assert "tapeline" in found
    # Nor any part of it in what the client writes itself.
    assert "wr0ng" not in capfd.readouterr().err


@BACKENDS
def test_server_when_the_database_is_not_there_then_says_how_to_make_it(
    name, database_server, told
) -> None:
    server = database_server(name)
    found = told(server.new_backend(), database="nowhere")
    assert found.startswith(_start_message("database", "nowhere, which 127.0.0.1 does not have"))
    assert "`CREATE DATABASE nowhere" in found
    assert "nowhere" not in server.sql(
        "SELECT datname FROM pg_database" if name == "postgresql" else "SHOW DATABASES"
    )


@BACKENDS
def test_server_when_the_user_has_no_rights_then_says_so(name, database_server, told) -> None:
    server = database_server(name)
    backend = server.new_backend()
    database = backend.section["database"]
    if name == "postgresql":
        server.sql(f"ALTER DATABASE {database} OWNER TO admin")
    else:
        server.sql(
            f"REVOKE ALL ON {database}.* FROM tapeline@'%'",
            f"GRANT SELECT ON {database}.* TO tapeline@'%'",
        )
    found = told(backend)
    assert found.startswith(
        _start_message("user", f"tapeline, who may not do what is needed in {database}")
    )


@BACKENDS
def test_server_when_its_tables_are_of_another_version_then_says_so(
    name, database_server, told
) -> None:
    server = database_server(name)
    backend = server.new_backend()
    assert told(backend) == ""
    database = backend.section["database"]
    if name == "postgresql":
        server.sql(f"\\c {database}", "UPDATE MLMDEnv SET schema_version = 99")
    else:
        server.sql(f"UPDATE {database}.MLMDEnv SET schema_version = 99")
    assert "MLMD database version 99 is greater than library version" in told(backend)


@BACKENDS
def test_server_when_it_is_frozen_or_another_one_then_is_given_up(
    name, database_server, told, monkeypatch
) -> None:
    monkeypatch.setattr(mysql_login, "_TIMEOUT", 1.0)
    server = database_server(name)
    backend = server.new_backend()
    with server.frozen():
        began = time.monotonic()
        found = told(backend)
        assert time.monotonic() - began < 60
    assert found.startswith(_start_message("host", f"{name} tapeline@127.0.0.1:{server.port}/"))
    assert "which does not answer: time" in found
    assert told(backend) == ""
    other = database_server("mysql" if name == "postgresql" else "postgresql")
    assert "metadata.host: found" in told(backend, port=other.port)


def test_mariadb_when_the_account_logs_in_otherwise_then_says_by_what(
    database_server, told
) -> None:
    server = database_server("mysql")
    backend = server.new_backend()
    server.sql("INSTALL SONAME 'auth_ed25519'")
    server.sql("CREATE USER other@'%' IDENTIFIED VIA ed25519 USING PASSWORD('x')")
    found = told(backend, user="other", password="x")
    assert "other, on mysql other@127.0.0.1" in found
    assert "logs in by client_ed25519, not by mysql_native_password" in found


@pytest.fixture(scope="module")
def tls_server():
    """A MariaDB with a certificate for 127.0.0.1, and beside its own another authority."""
    from tests.database_servers import INSTALL, MariadbServer

    if not MariadbServer.is_installed():
        pytest.skip(f"mysql is not installed: {INSTALL}")
    server = MariadbServer()
    new = ["openssl", "req", "-newkey", "rsa:2048", "-nodes"]
    for name in ("ca", "other"):
        _run(
            server, *new, "-x509", "-days", "9", "-subj", f"/CN={name}",
            "-keyout", f"{name}.key", "-out", f"{name}.pem",
        )  # fmt: skip
    (server.folder / "names").write_text("subjectAltName=IP:127.0.0.1")
    _run(server, *new, "-subj", "/CN=127.0.0.1", "-keyout", "server.key", "-out", "server.csr")
    _run(
        server, "openssl", "x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
        "-CAcreateserial", "-days", "9", "-extfile", "names", "-out", "server.pem",
    )  # fmt: skip
    (server.folder / "server.key").chmod(0o644)
    server.start()
    yield server
    server.close()


def _run(server, *command: str) -> None:
    subprocess.run(command, cwd=server.folder, check=True, capture_output=True)


def test_tls_when_the_server_proves_itself_then_opens_encrypted(tls_server, told) -> None:
    backend = tls_server.new_backend()
    tls_server.sql("ALTER USER tapeline@'%' REQUIRE SSL")
    assert told(backend, tls={"ca": str(tls_server.folder / "ca.pem")}) == ""
    assert "one that requires TLS needs metadata.tls" in told(backend)


def test_tls_when_another_authority_signed_or_none_is_offered_then_is_refused(
    tls_server, database_server, told
) -> None:
    other = {"ca": str(tls_server.folder / "other.pem")}
    found = told(tls_server.new_backend(), tls=other)
    assert found.startswith("metadata.tls: found mysql ")
    assert "self-signed certificate" in found
    assert "the server offers none" in told(database_server("mysql").new_backend(), tls=other)
