"""Reads the password of the metadata's database, at the moment that it is needed."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from pipeline.metadata.config import MysqlConfig, PostgresqlConfig
from pipeline.metadata.errors import MetadataError

_ENV, _FILE = "metadata.password_env", "metadata.password_file"


def read_password(metadata: PostgresqlConfig | MysqlConfig) -> str:
    """Returns the password; a line break at the end of its file is not part of it.

    Raises:
        MetadataError: if it is not there, is no line of text, or others than the owner and the
            group of its file can get at it.
    """
    if metadata.password_env is not None:
        name = metadata.password_env
        allowed = "a variable of this process that holds the password and nothing else"
        if not os.environ.get(name):
            raise MetadataError(_ENV, f"{name}, which is not set or empty", allowed)
        return _line(os.environb[os.fsencode(name)], _ENV, name, allowed)
    assert metadata.password_file is not None
    path = Path(metadata.password_file).expanduser()
    allowed = "a file that holds the password and nothing else"
    content = _of_file(path, allowed).removesuffix(b"\n").removesuffix(b"\r")
    return _line(content, _FILE, str(path), allowed)


def _of_file(path: Path, allowed: str) -> bytes:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            # What a group may read is how secrets are mounted for a process that is not root.
            if mode & (stat.S_IROTH | stat.S_IWOTH | stat.S_IWGRP):
                found = f"{path} with mode {stat.S_IMODE(mode):04o}, open to others"
                raise MetadataError(_FILE, found, f"0600 or 0440: chmod 600 {path}")
            return file.read()
    except OSError as error:
        raise MetadataError(_FILE, f"{path}: {error.strerror}", allowed) from error


def _line(content: bytes, key: str, where: str, allowed: str) -> str:
    """Returns the one line of text that something holds."""
    # The error that a strict decoding raises holds the content.
    text = content.decode(errors="replace")
    if text.encode() != content:
        raise MetadataError(key, f"{where}, which is not UTF-8", allowed)
    if not text:
        raise MetadataError(key, f"{where}, which is empty", allowed)
    if any(character in text for character in "\n\r\0"):
        raise MetadataError(key, f"{where}, which has more than one line", allowed)
    return text
