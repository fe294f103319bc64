"""Reads the password of the metadata's database, at the moment that it is needed."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from pipeline.metadata.config import MysqlConfig, PostgresqlConfig
from pipeline.metadata.errors import MetadataError


def read_password(metadata: PostgresqlConfig | MysqlConfig) -> str:
    """Returns the password; a line break at the end of its file is not part of it.

    Raises:
        MetadataError: if it is not there, or others than its owner and group can get at it.
    """
    if metadata.password_env is not None:
        key, where = "metadata.password_env", metadata.password_env
        password = os.environ.get(where, "")
        if not password:
            found = f"{where}, which is not set or empty"
            raise MetadataError(key, found, "a variable of this process that holds the password")
        return password
    assert metadata.password_file is not None
    return _of_file(Path(metadata.password_file).expanduser())


def _of_file(path: Path) -> str:
    key, allowed = "metadata.password_file", "a file that holds the password and nothing else"
    try:
        with path.open(encoding="utf-8", newline="") as file:
            mode = os.fstat(file.fileno()).st_mode
            # What a group may read is how secrets are mounted for a process that is not root.
            if mode & (stat.S_IROTH | stat.S_IWOTH | stat.S_IWGRP):
                found = f"{path} with mode {stat.S_IMODE(mode):04o}, open to others"
                raise MetadataError(key, found, f"0600 or 0440: chmod 600 {path}")
            text = file.read()
    except OSError as error:
        raise MetadataError(key, f"{path}: {error.strerror}", allowed) from error
    except UnicodeDecodeError:
        # Its own message holds a part of the content.
        raise MetadataError(key, f"{path}, which is not UTF-8", allowed) from None
    password = text.removesuffix("\n").removesuffix("\r")
    if not password or any(character in password for character in "\n\r\0"):
        found = f"{path}, which " + ("has more than one line" if password else "is empty")
        raise MetadataError(key, found, allowed)
    return password
