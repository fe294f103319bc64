"""What the MODEL argument of a command leads to: a model's folder, or one version of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from pipeline.config_file import ConfigError, Problem, load_config


def model_folder(model: str, overrides: list[str]) -> Path:
    """Returns the folder that holds the version folders of `model`.

    Args:
        model: a configuration's file, or the folder itself.

    Raises:
        ConfigError: if it is neither.
    """
    path = Path(model)
    return path if path.is_dir() else load_config(model, overrides).model_folder


def pushed_model_folder(model: str, overrides: list[str]) -> Path:
    """Returns the folder of a model that has a version.

    Raises:
        ConfigError: if `model` leads to none.
    """
    from serving.version_folders import versions

    base = model_folder(model, overrides)
    if not versions(base):
        raise ConfigError(
            Problem(model, "MODEL", f"no version in {base}", "a model that `tapeline run` pushed")
        )
    return base


def version_folder(model: str, overrides: list[str]) -> Path:
    """Returns the folder of the version that answers a request without a label or a version.

    That is the largest that models.config serves: after a rollback it is not the newest.

    Args:
        model: a configuration's file, a model's folder, or a version's folder.

    Raises:
        ConfigError: if it leads to no version.
    """
    path = Path(model)
    if (path / "saved_model.pb").is_file():
        return path
    base = pushed_model_folder(model, overrides)
    from serving.inventory import default_version

    with readable_models_config(base):
        version = default_version(base)
    if version is None:
        raise ConfigError(
            Problem(model, "MODEL", f"no version in {base} that is served", "a version's folder")
        )
    return version


@contextlib.contextmanager
def readable_models_config(base: Path) -> Iterator[None]:
    """Turns what is wrong with the models.config beside a model's folder into a ConfigError."""
    from google.protobuf.text_format import ParseError

    from serving.text_configs import MODELS_FILE

    path = base.resolve().parent / MODELS_FILE
    allowed = "TF Serving's ModelServerConfig in text format, with a model_config_list"
    try:
        yield
    except (ParseError, ValueError) as error:
        raise ConfigError(Problem(str(path), "(file)", str(error), allowed)) from error
