"""The paths of TF Serving's REST interface (`http_rest_api_util.cc`)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

from serving.server.errors import invalid_argument
from serving.server.manager import Wanted

_MODEL = rb"/v1/models(?:/([^/:]+))?(?:/versions/([0-9]+)|/labels/([^/:]+))?"
_POST = re.compile(_MODEL + rb":(predict|classify|regress)", re.IGNORECASE)
_GET = re.compile(_MODEL + rb"(?:/(metadata))?", re.IGNORECASE)

_LONGEST_KEPT = 512
_LARGEST_VERSION = 2**63 - 1


class Route(NamedTuple):
    """What a request asks for.

    Attributes:
        verb: predict, classify, regress, metadata or status.
    """

    verb: str
    wanted: Wanted


def route(method: str, path: bytes) -> Route | None:
    """Returns the route of a path, undecoded and with its query; None outside /v1/.

    Raises:
        ServingError: INVALID_ARGUMENT if there is no such route under /v1/, or a version is no
            64-bit number.
    """
    # Few paths are asked for again and again; long ones must not fill the memory.
    find = _kept_route if len(path) <= _LONGEST_KEPT else _route
    return find(method, path)


def _route(method: str, path: bytes) -> Route | None:
    if path[:4].lower() != b"/v1/":
        return None
    pattern = {"POST": _POST, "GET": _GET}.get(method)
    matched = pattern.fullmatch(path) if pattern else None
    if matched is None or (method == "POST" and matched[1] is None):
        raise invalid_argument(f"Malformed request: {method} {path.decode('latin-1')}")
    name, version, label, verb = matched.groups()
    if name is None:
        raise invalid_argument("Missing model name in request.")
    number = None
    if version is not None:
        # A number of any length may stand there.
        number = int(version) if len(version) < 20 else _LARGEST_VERSION + 1
        if number > _LARGEST_VERSION:
            raise invalid_argument(
                f"Failed to convert version: {version.decode()[:40]} to numeric."
            )
    wanted = Wanted(_decoded(name), number, None if label is None else _decoded(label))
    return Route((verb or b"status").decode().lower(), wanted)


_kept_route = lru_cache(1024)(_route)


def _decoded(name: bytes) -> str:
    return unquote(name.decode("latin-1"), errors="replace")
