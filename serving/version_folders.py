"""The version folders of a model: which there are, and what each says of itself."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

MANIFEST = Path("assets.extra", "tapeline.json")
MODEL_CARD = Path("assets.extra", "model_card.json")
WARMUP_FILE = Path("assets.extra", "tf_serving_warmup_requests")
"""Where TF Serving looks for the requests that warm a version up."""

MAX_WARMUP_RECORDS = 1000
"""With more of them TF Serving does not load a version."""


_CHUNK = 2**20  # bytes; variables may be larger than memory


def versions(base: Path) -> list[int]:
    """Returns the versions of the model under `base`, oldest first."""
    if not base.is_dir():
        return []
    names = [entry.name for entry in base.iterdir() if entry.is_dir() and entry.name.isdecimal()]
    # Such as 007 is a number to TF Serving too, but not a version that a push makes.
    return sorted(int(name) for name in names if name == str(int(name)))


def newest_version(base: Path) -> Path | None:
    """Returns the folder of the newest version, if there is one."""
    present = versions(base)
    return base / str(present[-1]) if present else None


def is_complete(version: Path) -> bool:
    """Returns whether the folder holds a SavedModel; what a push puts there always does."""
    return any((version / name).is_file() for name in ("saved_model.pb", "saved_model.pbtxt"))


def read_manifest(version: Path) -> dict[str, Any]:
    """Returns the manifest of a version, {} if another program put the version there."""
    try:
        found = json.loads((version / MANIFEST).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def content_digest(folder: Path) -> str:
    """Returns the SHA-256 of the files under `folder`, their names and contents."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(str(path.relative_to(folder)).encode() + b"\0")
        digest.update(_file_digest(path))
    return digest.hexdigest()


def _file_digest(path: Path) -> bytes:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.digest()
