"""The versions of a model that are in the file system and wanted."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

from serving.server.policy import aspired_versions, folders_by_version

_LOG = logging.getLogger(__name__)


def aspired_folders(model: Any) -> dict[int, Path]:
    """Returns the folder of each version that a ModelConfig wants and that is there.

    Raises:
        OSError: if its base path cannot be read; this says nothing about its versions.
    """
    base = Path(model.base_path)
    folders = folders_by_version(base, os.listdir(base))
    wanted = aspired_versions(model.model_version_policy, folders)
    for version in sorted(set(model.model_version_policy.specific.versions) - wanted):
        _LOG.warning(
            "Version %d of servable %s, which was requested to be served as a 'specific' version "
            "in the servable's version policy, was not found in the file system",
            version,
            model.name,
        )
    if not wanted:
        _LOG.warning(
            "No versions of servable %s found under base path %s. Did you forget to name your "
            "leaf directory as a number (eg. '/1/')?",
            model.name,
            base,
        )
    return {version: folders[version] for version in wanted}
