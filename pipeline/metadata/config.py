"""The `metadata` part of a run's configuration: one section a kind of database."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

SQLITE_FILE = "metadata.sqlite"
"""Name of the file in the pipeline's folder."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class SqliteConfig(_Section):
    """A file in the pipeline's folder."""

    backend: Literal["sqlite"] = "sqlite"


class _ServerConfig(_Section):
    """A database that exists on a server, and where the password of its user is read."""

    host: str = Field(pattern=r"^[A-Za-z0-9._:-]+$", description="a name or an address")
    database: str = Field(
        pattern=r"^[A-Za-z0-9_]{1,63}$", description="exists already, for these metadata alone"
    )
    user: str = Field(min_length=1)
    password_env: str | None = Field(
        None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", description="environment variable that holds it"
    )
    password_file: str | None = Field(
        None, min_length=1, description="file that holds it and nothing else"
    )

    @model_validator(mode="after")
    def _password_comes_from_one_place(self) -> _ServerConfig:
        if (self.password_env is None) == (self.password_file is None):
            found = "nothing" if self.password_env is None else "password_file beside it"
            raise ValueError(
                f"password_env: found {found}; allowed: one of password_env, the name of an "
                "environment variable, and password_file"
            )
        return self


class PostgresqlConfig(_ServerConfig):
    """PostgreSQL. ML Metadata's client speaks no TLS to it."""

    backend: Literal["postgresql"]
    port: int = Field(5432, gt=0, lt=65536)


class TlsConfig(_Section):
    """How a server proves who it is, and if it asks for that, this side too."""

    ca: str = Field(min_length=1, description="certificate that the server's is signed with")
    cert: str | None = Field(None, min_length=1, description="of this side")
    key: str | None = Field(None, min_length=1, description="of `cert`")

    @model_validator(mode="after")
    def _certificate_and_key_come_together(self) -> TlsConfig:
        if (self.cert is None) != (self.key is None):
            raise ValueError(
                f"key: found {self.key} with cert {self.cert}; allowed: both, or both null"
            )
        return self


class MysqlConfig(_ServerConfig):
    """MySQL, or MariaDB."""

    backend: Literal["mysql"]
    port: int = Field(3306, gt=0, lt=65536)
    tls: TlsConfig | None = Field(None, description="null: the connection is not encrypted")


def _with_default_backend(value: Any) -> Any:
    return {"backend": "sqlite", **value} if isinstance(value, dict) else value


MetadataConfig = Annotated[
    SqliteConfig | PostgresqlConfig | MysqlConfig,
    Field(discriminator="backend"),
    BeforeValidator(_with_default_backend),
]
