"""The versions that were pushed, in whichever serving directory."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline.collection.books import Books, State
from pipeline.collection.needs import ServedVersion
from pipeline.config_file import ConfigError, Problem
from serving.version_folders import MANIFEST, versions

_Pushes = Mapping[tuple[str, str], tuple[int, ...]]
"""Ids of the models that were pushed, by the name of the model and the version."""


def served_versions(books: Books, model_folder: Path, source: str) -> list[ServedVersion]:
    """Returns every version that is there, served or only to be rolled back to.

    Args:
        model_folder: of the configuration; earlier ones may have pushed elsewhere, which the
            metadata know.
        source: of the configuration, for messages.

    Raises:
        ConfigError: if it cannot be known which there are, or what one of them was made of.
    """
    pushed: dict[tuple[str, str], tuple[int, ...]] = {}
    bases = {os.path.realpath(model_folder): 0}
    for artifact in books.artifacts.values():
        if artifact.type == "PushedModel" and artifact.properties.get("pushed_destination"):
            folder = Path(str(artifact.properties["pushed_destination"]))
            makers = books.makers(artifact.id)
            models = [model for maker in makers for model in maker.inputs.get("model", ())]
            base = os.path.realpath(folder.parent)
            # By its names alone: the serving directory may have been moved since.
            key = os.path.basename(base), folder.name
            pushed[key] = (*pushed.get(key, ()), *models)
            # Of a version that is gone for good an earlier collection has freed it.
            bases[base] = bases.get(base, 0) + (artifact.state is not State.FREED)
    for base, count in sorted(bases.items()):
        if count and not os.path.isdir(base):
            found = f"{base}, which does not exist, while {count} versions were pushed there"
            allowed = (
                "a folder that is there: mount it, or make an empty one if it is gone for good"
            )
            raise ConfigError(Problem(source, "serve.root", found, allowed))
    return [version for base in sorted(bases) for version in _of(Path(base), pushed)]


def _of(base: Path, pushed: _Pushes) -> Iterator[ServedVersion]:
    for version in versions(base):
        models = pushed.get((base.name, str(version)), ())
        manifest = _manifest(base / str(version) / MANIFEST, is_known=bool(models))
        number, uri = manifest.get("model_artifact_id"), manifest.get("model_uri")
        yield ServedVersion(version, number, uri, models)


def _manifest(path: Path, is_known: bool) -> dict[str, Any]:
    """Returns the manifest of a version, {} if another program put the version there.

    Args:
        is_known: whether the metadata tell the same: then a damaged one will do.

    Raises:
        ConfigError: if it is damaged.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        found = None
    if isinstance(found, dict):
        number, uri = found.get("model_artifact_id"), found.get("model_uri")
        if isinstance(number, (int, type(None))) and isinstance(uri, (str, type(None))):
            return found
    if is_known:
        return {}
    text = "no manifest of a version, so that nobody knows which model is served"
    allowed = f"the file as it was pushed; or remove {path.parents[1]}, if it is served no more"
    raise ConfigError(Problem(str(path), "(file)", text, allowed))
