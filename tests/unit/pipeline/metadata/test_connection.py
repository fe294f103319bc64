"""What ML Metadata is told to connect to."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.metadata.connection import connection_of, has_metadata, place

ROOT = Path("/runs/digits")


def test_connection_when_in_a_file_then_makes_it_only_to_write(section) -> None:
    for read_only, mode in ((False, 3), (True, 1)):
        found = connection_of(section(), ROOT, read_only).sqlite
        assert (found.filename_uri, found.connection_mode) == (f"{ROOT}/metadata.sqlite", mode)


def test_connection_when_on_postgresql_then_values_are_quoted_and_it_gives_up(
    section, monkeypatch
) -> None:
    monkeypatch.setenv("METADATA_PASSWORD", "it's a \\ host=evil")
    found = connection_of(section("postgresql", user="ann o'hara"), ROOT).postgresql
    assert found.password == r"'it\'s a \\ host=evil'"
    assert found.user == r"'ann o\'hara'"
    # They are put together to `host=... port=...`.
    assert found.port.startswith("5432 connect_timeout=10 keepalives_idle=30 ")
    assert (found.host, found.dbname, found.skip_db_creation) == ("127.0.0.1", "lineage", True)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_connection_when_on_mysql_then_goes_by_the_port_and_encrypts(
    section, monkeypatch, host
) -> None:
    monkeypatch.setenv("METADATA_PASSWORD", "it's")
    monkeypatch.setenv("HOME", "/home/ann")
    tls = {"ca": "~/ca.pem", "cert": "me.pem", "key": "me.key"}
    found = connection_of(section("mysql", host=host, tls=tls), ROOT).mysql
    assert (found.host, found.port, found.database, found.user, found.password) == (
        "127.0.0.1", 3306, "lineage", "ann", "it's",
    )  # fmt: skip
    options = found.ssl_options
    assert (options.ca, options.cert, options.key) == ("/home/ann/ca.pem", "me.pem", "me.key")
    # The client refuses every certificate with it.
    assert not options.verify_server_cert
    assert found.skip_db_creation


def test_place_when_told_then_is_without_a_password(section, monkeypatch) -> None:
    monkeypatch.setenv("METADATA_PASSWORD", "s3cret")
    assert place(section(), ROOT) == "/runs/digits/metadata.sqlite"
    assert place(section("mysql"), ROOT) == "mysql ann@127.0.0.1:3306/lineage"


def test_has_metadata_when_there_is_no_file_then_does_not(load) -> None:
    config = load()
    assert not has_metadata(config)
    config.pipeline_root.mkdir(parents=True)
    (config.pipeline_root / "metadata.sqlite").touch()
    assert has_metadata(config)
    server = ("backend=mysql", "host=h", "database=d", "user=u", "password_env=P")
    assert has_metadata(load(*(f"metadata.{item}" for item in server), "root=elsewhere"))
