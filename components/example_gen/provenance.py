"""The account of what was read: each file with its size and a hash of its content.

It lies beside the examples as `sources.json`. The workers make it while others read the rows, one
pass over each file, whatever the engine; a folder of pictures gets one hash of all of them.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

from components.example_gen.file_access import is_remote, open_binary, told
from components.example_gen.source import Origin

FILE_NAME = "sources.json"

_FILES_AT_ONCE = 500
"""Of a folder, by one worker."""

_BLOCK = 1 << 20


@dataclass(frozen=True)
class ReadSource:
    """What rows came from, as it was when they were read.

    Attributes:
        kind: `file`, `folder`, `dataset` (one that a library brings) or `query`.
        name: the absolute path, the data set's name, or the text of the query.
        files: how many were read.
        bytes: of all of them.
        sha256: of a file, of its content; of a folder, of a line `path`, `bytes`, `sha256` for each
            file, sorted by path, the three with a NUL between; "" of what has no files.
        span: the number of the span that a file belongs to; None where there are none.
        version: of the library.
    """

    kind: str
    name: str
    files: int = 0
    bytes: int = 0
    sha256: str = ""
    span: int | None = None
    version: str = ""


class Content(NamedTuple):
    """What a file held; its path as the origin has it."""

    path: str
    bytes: int
    sha256: str


class Share(NamedTuple):
    """The files that one worker looks at, those of one origin or a part of them.

    Attributes:
        origin: its place among all.
        folder: that the paths lie under; "" for none.
    """

    origin: int
    folder: str
    paths: Sequence[str]


def shares(origins: Sequence[Origin]) -> list[Share]:
    """Returns the work of looking at all files, in shares that can be done anywhere."""
    found = []
    for number, origin in enumerate(origins):
        if origin.kind == "file":
            found.append(Share(number, "", [origin.name]))
        for first in range(0, len(origin.paths), _FILES_AT_ONCE):
            paths = origin.paths[first : first + _FILES_AT_ONCE]
            found.append(Share(number, origin.name, paths))
    return found


def contents(share: Share) -> list[Content]:
    """Reads the files of a share.

    Raises:
        DataError: if one cannot be read.
    """
    return [_content(path, os.path.join(share.folder, path)) for path in share.paths]


def write_contents(folder: str, number: int, share: Share) -> None:
    """Reads the files of a share and writes what they held, for `collect_sources`."""
    from tensorflow.io import gfile

    gfile.makedirs(folder)
    _write(os.path.join(folder, f"share-{number:05d}.json"), contents(share))


def collect_sources(
    folder: str, origins: Sequence[Origin], examples_uri: str
) -> Sequence[ReadSource]:
    """Merges what the workers wrote into the account of the examples, and takes theirs away."""
    from tensorflow.io import gfile

    found: dict[int, list[Content]] = {}
    for number, share in enumerate(shares(origins)):
        with gfile.GFile(os.path.join(folder, f"share-{number:05d}.json")) as file:
            found.setdefault(share.origin, []).extend(Content(*item) for item in json.load(file))
    account = [_read(origin, found.get(n, [])) for n, origin in enumerate(origins)]
    _write(os.path.join(examples_uri, FILE_NAME), [asdict(source) for source in account])
    if gfile.exists(folder):
        gfile.rmtree(folder)
    return account


def read_sources(examples_uri: str) -> list[ReadSource] | None:
    """Returns the account that lies beside examples; None if there is none."""
    from tensorflow.io import gfile

    path = os.path.join(examples_uri, FILE_NAME)
    if not gfile.exists(path):
        return None
    with gfile.GFile(path) as file:
        return [ReadSource(**item) for item in json.load(file)]


def _content(path: str, place: str) -> Content:
    digest, size = hashlib.sha256(), 0
    with told(place, "a file that can be read to its end"), open_binary(place) as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            size += len(block)
    return Content(path, size, digest.hexdigest())


def _read(origin: Origin, held: Sequence[Content]) -> ReadSource:
    is_place = origin.kind in ("file", "folder") and not is_remote(origin.name)
    if origin.kind == "folder":
        lines = (f"{path}\0{size}\0{sha256}\n" for path, size, sha256 in sorted(held))
        joined = "".join(lines).encode(errors="surrogateescape")
        sha256 = hashlib.sha256(joined).hexdigest()
    else:
        sha256 = held[0].sha256 if held else ""
    return ReadSource(
        kind=origin.kind,
        name=os.path.abspath(origin.name) if is_place else origin.name,
        files=len(held),
        bytes=sum(content.bytes for content in held),
        sha256=sha256,
        span=origin.span,
        version=origin.version,
    )


def _write(path: str, items: object) -> None:
    """Writes JSON, whole or not at all."""
    from tensorflow.io import gfile

    with gfile.GFile(f"{path}.partial", "w") as file:
        file.write(json.dumps(items))
    gfile.rename(f"{path}.partial", path, overwrite=True)
