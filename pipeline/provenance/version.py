"""A version of a serving directory, and the pipeline that pushed it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.config_file import ConfigError, Problem, load_config
from pipeline.run_folder import CONFIG_FILE, run_config
from pipeline.served_model import pushed_model_folder, version_folder
from serving.version_folders import MANIFEST, MODEL_CARD, read_manifest, versions

if TYPE_CHECKING:
    from pipeline.config import RunConfig

_DEPTH_OF_ARTIFACTS = 3
"""A model lies in <pipeline root>/artifacts/<node>/<output>/<number>."""


@dataclass(frozen=True)
class Version:
    """A version and what it says of itself.

    Attributes:
        manifest: which model it was made of.
        card: its model card; {} if it has none.
        config: of a run of its pipeline, for where the metadata are.
    """

    folder: Path
    manifest: Mapping[str, Any]
    card: Mapping[str, Any]
    config: RunConfig


def find_version(model: str, number: int | None, overrides: list[str]) -> Version:
    """Returns the version that is meant.

    Args:
        model: a version's folder, a model's folder, or the configuration of a run.
        number: of the version; None: the one that answers requests.

    Raises:
        ConfigError: if there is no such version, or no run of ours pushed it.
    """
    folder = _folder(model, number, overrides).resolve()
    manifest = read_manifest(folder)
    if "model_uri" not in manifest:
        allowed = f"a version that `tapeline run` pushed, with {MANIFEST}"
        raise ConfigError(Problem(model, "VERSION", f"{folder} without a manifest", allowed))
    card = _read_card(folder)
    if Path(model).is_file():
        config = load_config(model, overrides)
    else:
        config = _pipeline_config(folder, manifest["model_uri"], card)
    return Version(folder, manifest, card, config)


def _folder(model: str, number: int | None, overrides: list[str]) -> Path:
    if number is None:
        return version_folder(model, overrides)
    base = pushed_model_folder(model, overrides)
    if number not in versions(base):
        known = ", ".join(map(str, versions(base)))
        raise ConfigError(Problem(model, "VERSION", f"{number}, not in {base}", f"one of {known}"))
    return base / str(number)


def _read_card(folder: Path) -> dict[str, Any]:
    try:
        card: dict[str, Any] = json.loads((folder / MODEL_CARD).read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return card


def _pipeline_config(folder: Path, model_uri: str, card: Mapping[str, Any]) -> RunConfig:
    """Returns the configuration of the run that pushed, or else of the last run that left one."""
    root = Path(model_uri).parents[_DEPTH_OF_ARTIFACTS]
    pushed = root / "runs" / str(card.get("lineage", {}).get("run_id"))
    left = sorted(path.parent for path in (root / "runs").glob(f"*/{CONFIG_FILE}"))
    if pushed in left:
        return run_config(pushed)
    if left:
        return run_config(left[-1])
    found = f"no run's folder under {root}, where its model was trained"
    allowed = "that folder, or CONFIG and the version's number in place of its folder"
    raise ConfigError(Problem(str(folder), "VERSION", found, allowed))
