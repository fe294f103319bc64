"""The `metadata` section: which database, and where its password is, which is never in the file."""

from __future__ import annotations

import pytest

from pipeline.config_file import ConfigError, dump_config, load_config
from pipeline.metadata.config import MysqlConfig, PostgresqlConfig, SqliteConfig, TlsConfig

POSTGRESQL = {
    "backend": "postgresql", "host": "db.example.org", "database": "lineage", "user": "ann",
    "password_env": "METADATA_PASSWORD",
}  # fmt: skip
MYSQL = {**POSTGRESQL, "backend": "mysql"}


def test_metadata_when_nothing_is_said_then_are_in_a_file(load) -> None:
    assert load().metadata == SqliteConfig()
    assert load("metadata={}").metadata == SqliteConfig()


def test_metadata_when_on_a_server_then_have_its_usual_port(write_config) -> None:
    postgresql = load_config(str(write_config({"metadata": POSTGRESQL}))).metadata
    with_tls = {**MYSQL, "tls": {"ca": "ca.pem"}}
    mysql = load_config(str(write_config({"metadata": with_tls}))).metadata
    assert isinstance(postgresql, PostgresqlConfig)
    assert postgresql.port == 5432
    assert isinstance(mysql, MysqlConfig)
    assert (mysql.port, mysql.tls) == (3306, TlsConfig(ca="ca.pem"))


def test_resolved_configuration_when_read_again_then_is_the_same(write_config, tmp_path) -> None:
    config = load_config(str(write_config({"metadata": MYSQL})))
    (tmp_path / "again.yaml").write_text(dump_config(config))
    assert load_config(str(tmp_path / "again.yaml")) == config


ONE_PASSWORD = "allowed: one of password_env, the name of an environment variable, and"


@pytest.mark.parametrize(
    ("metadata", "problem"),
    [
        ({"backend": "oracle"}, "metadata.backend: found 'oracle'; allowed: 'sqlite', 'p"),
        ({**MYSQL, "password_env": None}, f"metadata.password_env: found nothing; {ONE_PASSWORD}"),
        (
            {**MYSQL, "password_file": "secret"},
            f"metadata.password_env: found password_file beside it; {ONE_PASSWORD}",
        ),
        # As a reference to one would be written in a shell.
        ({**MYSQL, "password_env": "$SECRET"}, "metadata.password_env: found '$SECRET'"),
        ({**MYSQL, "host": "db port=1"}, "metadata.host: found 'db port=1'"),
        ({**MYSQL, "database": "a;b"}, "metadata.database: found 'a;b'"),
        ({**MYSQL, "port": 65536}, "metadata.port: found 65536; allowed: a number below 65536"),
        ({**POSTGRESQL, "tls": {"ca": "ca.pem"}}, "metadata.tls: found a key that does not exist"),
        ({"host": "db.example.org"}, "metadata.host: found a key that does not exist"),
        (
            {**MYSQL, "tls": {"ca": "ca.pem", "cert": "me.pem"}},
            "metadata.tls.key: found None with cert me.pem; allowed: both, or both null",
        ),
    ],
)  # fmt: skip
def test_section_when_wrong_then_the_key_and_what_is_allowed_are_named(
    write_config, metadata, problem
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(str(write_config({"metadata": metadata})))
    assert problem in str(caught.value)


def test_section_when_it_holds_a_password_then_is_refused_without_repeating_it(
    write_config,
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(str(write_config({"metadata": {**MYSQL, "password": "s3cret"}})))
    assert "metadata.password: found a key that does not exist" in str(caught.value)
    assert "s3cret" not in str(caught.value)
