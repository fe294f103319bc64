"""A serving directory as a server finds it: is it whole, and which models are in it?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from google.protobuf import text_format

from serving.text_configs import BATCHING_FILE, MODELS_FILE, MONITORING_FILE, parse_model_list
from serving.version_folders import versions

SERVER_FILES = (MODELS_FILE, BATCHING_FILE, MONITORING_FILE)


class IncompleteRoot(ValueError):
    """A folder that no server can be started with.

    Attributes:
        found: what is there, or missing.
        allowed: what to do.
    """

    def __init__(self, found: str, allowed: str) -> None:
        super().__init__(f"found {found}; allowed: {allowed}")
        self.found = found
        self.allowed = allowed


@dataclass(frozen=True)
class ServedModel:
    """A model that models.config names.

    Attributes:
        base: folder of its version folders; None if it is on another file system, such as `gs://`,
            that only TF Serving reads.
    """

    name: str
    base: Path | None


def root_of(folder: Path) -> Path:
    """Returns the serving directory that a folder is, or is a model's folder in.

    Raises:
        IncompleteRoot: if it is neither.
    """
    folder = folder.resolve()
    for candidate in (folder, folder.parent):
        if (candidate / MODELS_FILE).is_file():
            return candidate
    raise IncompleteRoot(
        f"{folder}, with no {MODELS_FILE} in it or beside it",
        "a serving directory, or the folder of a model in one, that `tapeline run` pushed to",
    )


def served_models(root: Path) -> tuple[ServedModel, ...]:
    """Returns the models that a server started with the files of `root` serves.

    Raises:
        IncompleteRoot: if a file is missing or broken, or a model has no version where
            models.config says.
    """
    push = "what `tapeline run` pushes: run it again to bring the directory up to date"
    missing = [name for name in SERVER_FILES if not (root / name).is_file()]
    if missing:
        raise IncompleteRoot(f"{root} without {', '.join(missing)}", push)
    text = (root / MODELS_FILE).read_text(encoding="utf-8")
    try:
        config = parse_model_list(text)
    except (text_format.ParseError, ValueError) as error:
        raise IncompleteRoot(
            f"{root / MODELS_FILE}: {error}", "a model_config_list in protobuf text format"
        ) from error
    models = tuple(
        ServedModel(model.name, None if "://" in model.base_path else Path(model.base_path))
        for model in config.model_config_list.config
    )
    if not models:
        raise IncompleteRoot(f"{root / MODELS_FILE} without a model", push)
    for model in models:
        if model.base is not None and not versions(model.base):
            raise IncompleteRoot(f"no version of {model.name} in {model.base}", push)
    return models
