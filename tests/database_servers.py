"""Real PostgreSQL and MariaDB servers of a test's own: on loopback, at a free port, in a folder."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PASSWORD = 's3cret  it\'s "100%" \\ héré'
"""Of the user that pipelines log in as: with all that a connection string could stumble over."""

PASSWORD_ENV = "TAPELINE_TEST_METADATA_PASSWORD"
USER = "tapeline"

INSTALL = "apt-get install postgresql mariadb-server"

_START, _STOP = 60.0, 60.0


@dataclass(frozen=True)
class MetadataBackend:
    """Where the metadata of a test are.

    Attributes:
        name: of the backend.
        section: `metadata` of the configuration.
        env: that a command needs besides its own.
        server: None for a file.
    """

    name: str
    section: dict[str, object] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    server: Server | None = None

    @property
    def sets(self) -> list[str]:
        """The arguments that choose it: `--set metadata.backend=...` and the others."""
        return [part for k, v in self.section.items() for part in ("--set", f"metadata.{k}={v}")]

    @property
    def yaml(self) -> str:
        """The lines that choose it in a configuration."""
        return f"metadata: {json.dumps(self.section)}\n" if self.section else ""

    def open(self, pipeline_root: Path) -> Any:
        """Opens the metadata of a pipeline's folder in this process."""
        from pydantic import TypeAdapter

        from pipeline.metadata.config import MetadataConfig
        from pipeline.metadata.opening import open_mlmd

        os.environ.update(self.env)
        return open_mlmd(TypeAdapter(MetadataConfig).validate_python(self.section), pipeline_root)


class Server(ABC):
    """A server in a folder of its own, run by a user who is not root.

    Attributes:
        port: on 127.0.0.1.
    """

    backend: str
    account: str

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tapeline-database-"))
        self._user = _unprivileged(self.account)
        self.folder.chmod(0o755)
        if self._user is not None:
            shutil.chown(self.folder, self._user)
        self.port = _free_port()
        self._databases = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._make()

    @classmethod
    @abstractmethod
    def is_installed(cls) -> bool: ...

    @abstractmethod
    def _make(self) -> None:
        """Makes the files."""

    @abstractmethod
    def _command(self) -> list[str]: ...

    @abstractmethod
    def sql(self, *statements: str) -> str:
        """Runs statements as the administrator and returns what they print."""

    @abstractmethod
    def _create(self, database: str) -> None: ...

    def start(self) -> None:
        """Starts the server and waits until it answers."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command(), stdout=log, stderr=log, user=self._user, cwd=self.folder,
                start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + _START
        while True:
            try:
                self.sql("SELECT 1")
                return
            except subprocess.CalledProcessError as error:
                text = (self.folder / "log").read_text(errors="replace")[-2000:]
                assert self._process.poll() is None, text
                assert time.monotonic() < deadline, f"{error.stderr}\n{text}"
                time.sleep(0.1)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Ends the server; connections are cut."""
        assert self._process is not None
        self._process.send_signal(how)
        self._process.wait(_STOP)

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Keeps the server from answering, its port open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self.stop(signal.SIGKILL if self.backend == "mysql" else signal.SIGQUIT)
        shutil.rmtree(self.folder)

    def new_backend(self) -> MetadataBackend:
        """Makes an empty database."""
        self._databases += 1
        database = f"tapeline_{self._databases}"
        self._create(database)
        section = {
            "backend": self.backend, "host": "127.0.0.1", "port": self.port, "user": USER,
            "database": database, "password_env": PASSWORD_ENV,
        }  # fmt: skip
        return MetadataBackend(self.backend, section, {PASSWORD_ENV: PASSWORD}, self)

    def _run(self, *command: str, **options: object) -> str:
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, cwd=self.folder, **options
        )
        return done.stdout


class PostgresqlServer(Server):
    """PostgreSQL, as Debian's package brings it."""

    backend, account = "postgresql", "postgres"

    @staticmethod
    @functools.cache
    def _program(name: str) -> str | None:
        found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
        return str(found[-1]) if found else shutil.which(name)

    @classmethod
    def is_installed(cls) -> bool:
        return None not in (cls._program("initdb"), cls._program("postgres"))

    def _make(self) -> None:
        secret = self.folder / "admin"
        secret.write_text("administrator")
        initdb = self._program("initdb") or ""
        self._run(
            initdb, "-D", "data", "-U", "admin", "-A", "scram-sha-256", f"--pwfile={secret}",
            "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", user=self._user,
        )  # fmt: skip

    def _command(self) -> list[str]:
        return [
            self._program("postgres") or "", "-D", str(self.folder / "data"), "-p", str(self.port),
            "-k", str(self.folder), "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off",
        ]  # fmt: skip

    def sql(self, *statements: str) -> str:
        commands = [part for statement in statements for part in ("-c", statement)]
        return self._run(
            self._program("psql") or "", "-h", "127.0.0.1", "-p", str(self.port), "-U", "admin",
            "-v", "ON_ERROR_STOP=1", "-Atq", "postgres", *commands,
            env={**os.environ, "PGPASSWORD": "administrator"},
        )  # fmt: skip

    def start(self) -> None:
        super().start()
        if self.sql(f"SELECT 1 FROM pg_roles WHERE rolname = '{USER}'") == "":
            self.sql(f"CREATE USER {USER} PASSWORD '{PASSWORD.replace(chr(39), chr(39) * 2)}'")

    def _create(self, database: str) -> None:
        self.sql(f"CREATE DATABASE {database} OWNER {USER}")


class MariadbServer(Server):
    """MariaDB, as Debian's package brings it."""

    backend, account = "mysql", "mysql"

    @classmethod
    def is_installed(cls) -> bool:
        return None not in (cls._program("mariadbd"), cls._program("mariadb-install-db"))

    @staticmethod
    def _program(name: str) -> str | None:
        return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")

    def _make(self) -> None:
        self._run(
            self._program("mariadb-install-db") or "", "--no-defaults", "--skip-test-db",
            f"--datadir={self.folder / 'data'}", "--auth-root-authentication-method=normal",
            user=self._user,
        )  # fmt: skip

    def _command(self) -> list[str]:
        return [
            self._program("mariadbd") or "", "--no-defaults", f"--datadir={self.folder / 'data'}",
            "--bind-address=127.0.0.1", f"--port={self.port}", f"--socket={self.folder / 'socket'}",
            f"--pid-file={self.folder / 'pid'}", *self.options(),
        ]  # fmt: skip

    def options(self) -> list[str]:
        """More options: TLS, once there are certificates in the folder."""
        if not (self.folder / "server.pem").exists():
            return []
        return [
            f"--ssl-{name}={self.folder / file}"
            for name, file in (("ca", "ca.pem"), ("cert", "server.pem"), ("key", "server.key"))
        ]

    def sql(self, *statements: str) -> str:
        socket_file = self.folder / "socket"
        return self._run(
            "mariadb", "--no-defaults", "-uroot", "-BN", f"--socket={socket_file}",
            "--default-character-set=utf8mb4", "-e", "; ".join(statements),
        )  # fmt: skip

    def start(self) -> None:
        super().start()
        quoted = PASSWORD.replace("\\", "\\\\").replace("'", "\\'")
        self.sql(f"CREATE USER IF NOT EXISTS {USER}@'%' IDENTIFIED BY '{quoted}'")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        super().stop(how)

    def _create(self, database: str) -> None:
        self.sql(f"CREATE DATABASE {database}", f"GRANT ALL ON {database}.* TO {USER}@'%'")


SERVERS: dict[str, type[Server]] = {"postgresql": PostgresqlServer, "mysql": MariadbServer}


def _unprivileged(account: str) -> str | None:
    """Returns whom a server runs as: the user itself, or of root's the package's own user."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(account).pw_name
    except KeyError:
        return "nobody"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
