"""Files by their paths under a root, which is a folder or a tar archive.

An archive is read as a stream of members: nothing of it is ever written to the disk.
"""

from __future__ import annotations

import abc
import hashlib
import lzma
import os
import posixpath
import tarfile
import zlib
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from components.example_gen.file_access import (
    changed_at,
    exists,
    is_folder,
    names_in,
    open_binary,
    resolved,
    size_of,
    told,
)
from components.example_gen.source import DataError, Origin

_DEEPEST = 4
"""How many folders below the root are looked into: more than any layout has, so that a link that
leads to a folder above it comes to an end."""


class Entry(NamedTuple):
    """A file or a folder, by its path under the root with `/` between the parts."""

    path: str
    is_folder: bool
    size: int


class Files(abc.ABC):
    """The files under a root; hidden ones, whose names start with a dot, are left out."""

    def __init__(self, root: str) -> None:
        self.root = root

    @abc.abstractmethod
    def entries(self) -> Iterator[Entry]:
        """Yields files and folders.

        Raises:
            DataError: if they cannot be listed, or one is not to be trusted.
        """

    @abc.abstractmethod
    def contents(self, wanted: Container[str]) -> Iterator[tuple[str, bytes]]:
        """Yields path and content of the files whose paths are wanted, in the order of storage.

        Raises:
            DataError: if one cannot be read.
        """

    @abc.abstractmethod
    def fingerprint(self) -> str:
        """Returns a hash of the names, sizes and times of change of what is read."""

    @abc.abstractmethod
    def origins(self, paths: Sequence[str], as_one: bool = False) -> list[Origin]:
        """Returns what holds the files of these paths.

        Args:
            as_one: the folder rather than each file in it.
        """

    def where(self, path: str) -> str:
        """Returns how to name a file to a person."""
        return f"{self.root}: {path}"


def open_files(path: str, allowed: str) -> Files:
    """Returns the files of a folder or an archive.

    Args:
        allowed: what the path should lead to, for the message.

    Raises:
        DataError: if there is nothing there.
    """
    root = resolved(path)
    with told(root, allowed):
        if not exists(root):
            raise DataError.at(root, "no such file or folder", allowed)
        return Folder(root) if is_folder(root) else Archive(root, allowed)


class Folder(Files):
    """Files of a folder, links to elsewhere followed."""

    def entries(self) -> Iterator[Entry]:
        try:
            yield from self._entries("", 0)
        except OSError as error:
            raise _unreadable(error) from None

    def contents(self, wanted: Container[str]) -> Iterator[tuple[str, bytes]]:
        for entry in self.entries():
            if entry.path in wanted:
                try:
                    with open_binary(self.where(entry.path)) as file:
                        content = file.read()
                except OSError as error:
                    raise _unreadable(error) from None
                yield entry.path, content

    def fingerprint(self) -> str:
        digest = hashlib.sha256()
        for entry in self.entries():
            if not entry.is_folder:
                changed = changed_at(self.where(entry.path))
                digest.update(f"{entry.path}\0{entry.size}\0{changed}\n".encode(errors="replace"))
        return digest.hexdigest()[:16]

    def origins(self, paths: Sequence[str], as_one: bool = False) -> list[Origin]:
        if as_one:
            return [Origin("folder", self.root, paths)]
        return [Origin("file", self.where(path)) for path in paths]

    def where(self, path: str) -> str:
        return os.path.join(self.root, path)

    def _entries(self, folder: str, depth: int) -> Iterator[Entry]:
        """Yields what is in a folder, its files after its folders, then what is in these."""
        place = self.where(folder) if folder else self.root
        names = [name for name in names_in(place) if not _is_hidden(name)]
        paths = [posixpath.join(folder, name) for name in names]
        is_inner = {path: is_folder(self.where(path)) for path in paths}
        inner = [path for path in paths if is_inner[path]]
        yield from (Entry(path, True, 0) for path in inner)
        for path in paths:
            if not is_inner[path]:
                yield Entry(path, False, size_of(self.where(path)))
        if depth < _DEEPEST:
            for path in inner:
                yield from self._entries(path, depth + 1)


class Archive(Files):
    """Files of a tar archive, compressed or not."""

    def __init__(self, root: str, allowed: str) -> None:
        super().__init__(root)
        self._allowed = allowed

    def entries(self) -> Iterator[Entry]:
        seen: set[str] = set()
        for _, member, path in self._members():
            if member.isfile():
                if path in seen:
                    raise DataError.at(self.where(path), "it twice", "each file once")
                seen.add(path)
            yield Entry(path, member.isdir(), member.size)

    def contents(self, wanted: Container[str]) -> Iterator[tuple[str, bytes]]:
        for archive, member, path in self._members():
            if member.isfile() and path in wanted:
                content = archive.extractfile(member)
                assert content is not None, "a regular file has a content"
                yield path, content.read()

    def fingerprint(self) -> str:
        text = f"{size_of(self.root)}\0{changed_at(self.root)}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def origins(self, paths: Sequence[str], as_one: bool = False) -> list[Origin]:
        return [Origin("file", self.root)]

    def _members(self) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo, str]]:
        """Yields the members that are not hidden, each while the archive stands at it."""
        with (
            self._readable(),
            open_binary(self.root) as file,
            tarfile.open(fileobj=file) as archive,
        ):
            for member in archive:
                path = posixpath.normpath(member.name)
                parts = path.split("/")
                if path.startswith("/") or ".." in parts:
                    raise DataError.at(
                        self.where(member.name), "a path out of it", "paths inside it"
                    )
                if not (member.isfile() or member.isdir()):
                    found = "a link" if member.issym() or member.islnk() else "a special file"
                    raise DataError.at(self.where(member.name), found, "files and folders")
                if not any(map(_is_hidden, parts)):
                    yield archive, member, path

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, OSError) as error:
            found = f"no tar archive that can be read to its end ({error})"
            raise DataError.at(self.root, found, self._allowed) from None


def _unreadable(error: OSError) -> DataError:
    return DataError.at(str(error.filename), str(error.strerror), "what can be read")


def _is_hidden(name: str) -> bool:
    return name.startswith(".")
