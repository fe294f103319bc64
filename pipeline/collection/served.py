"""The versions that were pushed, in whichever serving directory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pipeline.collection.books import Books
from pipeline.collection.needs import ServedVersion
from serving.version_folders import read_manifest, versions


def served_versions(books: Books, model_folder: Path) -> list[ServedVersion]:
    """Returns every version that is there, served or only to be rolled back to.

    Args:
        model_folder: of the configuration; earlier ones may have pushed elsewhere, which the
            metadata know.
    """
    pushed = {
        Path(str(artifact.properties["pushed_destination"])).parent
        for artifact in books.artifacts.values()
        if artifact.type == "PushedModel" and artifact.properties.get("pushed_destination")
    }
    return [version for base in sorted({*pushed, model_folder}) for version in _of(base)]


def _of(base: Path) -> Iterator[ServedVersion]:
    for version in versions(base):
        manifest = read_manifest(base / str(version))
        number, uri = manifest.get("model_artifact_id"), manifest.get("model_uri")
        yield ServedVersion(version, base.name, number, uri)
