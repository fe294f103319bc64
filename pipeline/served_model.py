"""What the MODEL argument of a command leads to: a model's folder, or one version of it."""

from __future__ import annotations

from pathlib import Path

from pipeline.config_file import ConfigError, Problem, load_config
from serving.versions import newest_version


def model_folder(model: str, overrides: list[str]) -> Path:
    """Returns the folder that holds the version folders of `model`.

    Args:
        model: a configuration's file, or the folder itself.

    Raises:
        ConfigError: if it is neither.
    """
    path = Path(model)
    return path if path.is_dir() else load_config(model, overrides).model_folder


def version_folder(model: str, overrides: list[str]) -> Path:
    """Returns the folder of the newest version that `model` leads to.

    Args:
        model: a configuration's file, a model's folder, or a version's folder.

    Raises:
        ConfigError: if it leads to no version.
    """
    path = Path(model)
    if (path / "saved_model.pb").is_file():
        return path
    base = model_folder(model, overrides)
    newest = newest_version(base)
    if newest is None:
        raise ConfigError(
            Problem(model, "MODEL", f"no version in {base}", "a model that `tapeline run` pushed")
        )
    return newest
