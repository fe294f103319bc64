"""A version of a serving directory, and the pipeline that pushed it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.config_file import ConfigError, Problem, load_config
from pipeline.origin import origin_config, read_card
from pipeline.served_model import pushed_model_folder, version_folder
from serving.version_folders import MANIFEST, read_manifest, versions

if TYPE_CHECKING:
    from pipeline.config import RunConfig


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
    config = load_config(model, overrides) if Path(model).is_file() else _pipeline_config(folder)
    return Version(folder, manifest, read_card(folder), config)


def _folder(model: str, number: int | None, overrides: list[str]) -> Path:
    if number is None:
        return version_folder(model, overrides)
    base = pushed_model_folder(model, overrides)
    if number not in versions(base):
        known = ", ".join(map(str, versions(base)))
        raise ConfigError(Problem(model, "VERSION", f"{number}, not in {base}", f"one of {known}"))
    return base / str(number)


def _pipeline_config(folder: Path) -> RunConfig:
    try:
        return origin_config(folder)
    except LookupError as error:
        allowed = "its pipeline's folder, or CONFIG and the version's number in place of its folder"
        raise ConfigError(Problem(str(folder), "VERSION", str(error), allowed)) from error
