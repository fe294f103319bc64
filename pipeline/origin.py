"""Which pipeline pushed a version, by what the version says of itself."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.config_file import ConfigError
from pipeline.run_folder import begun_runs, run_config
from serving.version_folders import MODEL_CARD, read_manifest

if TYPE_CHECKING:
    from pipeline.config import RunConfig

_DEPTH_OF_ARTIFACTS = 3
"""A model lies in <pipeline root>/artifacts/<node>/<output>/<number>."""


def origin_config(version: Path) -> RunConfig:
    """Returns the configuration of the run that pushed a version: it says where the metadata are.

    Where that one is gone or cannot be read, it is that of the pipeline's run that began last.

    Raises:
        LookupError: if the version does not say which pipeline it is of, or there is none of these.
    """
    uri = read_manifest(version).get("model_uri")
    if not isinstance(uri, str) or len(Path(uri).parents) <= _DEPTH_OF_ARTIFACTS:
        raise LookupError("a version that does not say which run it comes from")
    root = Path(uri).parents[_DEPTH_OF_ARTIFACTS]
    pushed = root / "runs" / str((read_card(version).get("lineage") or {}).get("run_id"))
    for folder in [pushed, *reversed(begun_runs(root.parent, root.name))]:
        # Of another release, or damaged.
        with contextlib.suppress(ConfigError):
            return run_config(folder)
    raise LookupError(f"no run's folder under {root} whose configuration can be read")


def read_card(version: Path) -> dict[str, Any]:
    """Returns the model card of a version; {} if it has none."""
    try:
        card = json.loads((version / MODEL_CARD).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return card if isinstance(card, dict) else {}
