"""What a model's TF Lite variants are made from and measured by: its run's examples and metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ml_metadata import errors
from pydantic import ValidationError

from pipeline.config_file import ConfigError, Problem, load_config
from pipeline.lineage import training_of
from pipeline.metadata.connection import has_metadata, place
from pipeline.metadata.errors import MetadataError
from pipeline.metadata.opening import open_mlmd
from pipeline.origin import origin_config
from pipeline.run_folder import CONFIG_FILE
from pipeline.served_model import version_folder
from serving.lite.config import VARIANTS, LiteConfig
from serving.lite.job import Job
from serving.lite.metrics import KINDS, Metric
from serving.version_folders import read_manifest

if TYPE_CHECKING:
    from pipeline.config import EvaluateConfig
    from trainer_module.tasks.base import Task

_OTHERWISE = "a version whose run is on this machine; or --examples and --out"


@dataclass(frozen=True)
class Origin:
    """The run that made a version.

    Attributes:
        pipeline_root: folder of the pipeline.
        config: file of the run's resolved configuration.
        examples: folder of the raw examples, those that it was trained on and the others.
    """

    pipeline_root: Path
    config: Path
    examples: Path


@dataclass(frozen=True)
class Wanted:
    """What the command was asked for besides the model; None: as the model's run has it."""

    variants: Sequence[str] | None = None
    out: Path | None = None
    examples: Path | None = None


def export_job(model: str, overrides: Sequence[str], wanted: Wanted) -> tuple[Job, Path]:
    """Returns the export that a command line asks for, and the folder that it goes to.

    Args:
        model: a configuration's file, a model's folder, or a version's folder.
        overrides: `key=value` each, of the configuration.

    Raises:
        ConfigError: if there is no version, its examples are not to be found, or a name is wrong.
    """
    from trainer_module.tasks import make_task

    version = version_folder(model, list(overrides)).resolve()
    is_free = wanted.examples is not None and wanted.out is not None
    origin = None if is_free else origin_of(version)
    path = Path(model) if Path(model).is_file() else origin.config if origin else None
    config = load_config(str(path), overrides) if path else None
    if config is None and overrides:
        raise ConfigError(
            Problem("--set", overrides[0], "no configuration to override", "a CONFIG as MODEL")
        )
    task = make_task(config.task) if config else None
    examples = wanted.examples or (origin.examples if origin else Path())
    job = Job(
        saved_model=version,
        name=version.parent.name,
        version=version.name,
        representative=_split(examples, "train"),
        test=_split(examples, "test"),
        config=_chosen((config and config.lite) or LiteConfig(), wanted.variants),
        metrics=lite_metrics(config.evaluate, task) if config and task else [],
        labels=lite_labels(task) if task else {},
    )
    return job, wanted.out or (origin.pipeline_root if origin else Path()) / "lite" / version.name


def origin_of(version: Path) -> Origin:
    """Finds the run that made a version, by the version's manifest and the run's metadata.

    Raises:
        ConfigError: if the version does not say, or the run is not on this machine.
    """
    try:
        pushed = origin_config(version)
    except LookupError as error:
        raise _unknown(version, str(error)) from error
    pipeline_root, where = pushed.pipeline_root, place(pushed.metadata, pushed.pipeline_root)
    if not has_metadata(pushed):
        raise _unknown(version, f"no {where}, the metadata of the run that it comes from")
    try:
        store = open_mlmd(pushed.metadata, pipeline_root, read_only=True)
        training = training_of(store, read_manifest(version)["model_uri"])
    except (LookupError, MetadataError, errors.StatusError) as error:
        raise _unknown(version, f"{where}, which does not tell: {error}") from error
    examples = Path(training.examples_uri)
    if not examples.is_dir():
        raise _unknown(version, f"no {examples}, the examples that it was trained on")
    config = pipeline_root / "runs" / training.run_id / CONFIG_FILE
    if not config.is_file():
        raise _unknown(version, f"no {config}, the configuration of its run")
    return Origin(pipeline_root, config, examples)


def _chosen(lite: LiteConfig, names: Sequence[str] | None) -> LiteConfig:
    """Returns the configuration with other variants; those not among them are not required."""
    if names is None:
        return lite
    values = lite.model_dump()
    values["variants"] = list(names)
    if lite.required is not None:
        values["required"] = [name for name in lite.required if name in names]
    try:
        return LiteConfig.model_validate(values)
    except ValidationError as error:
        allowed = f"some of {', '.join(VARIANTS)}, each once"
        raise ConfigError(Problem("tflite", "--variants", ",".join(names), allowed)) from error


def lite_metrics(evaluate: EvaluateConfig, task: Task) -> list[Metric]:
    """Returns those of a run's metrics that are computed of single rows, and R²."""
    heads = {head.name: head for head in task.heads}
    return [
        Metric(
            key=f"{metric.head}/{metric.name}",
            kind=metric.name,
            output=heads[metric.head].served,
            label=heads[metric.head].label,
        )
        for metric in evaluate.metrics
        if metric.name in KINDS
    ]


def lite_labels(task: Task) -> dict[str, list[str]]:
    """Returns the names of a task's classes by the outputs that are about them."""
    names = getattr(task, "class_names", None)
    return {output: list(names) for output in ("class_id", "probabilities")} if names else {}


def _split(examples: Path, split: str) -> list[Path]:
    files = sorted(path for path in (examples / f"Split-{split}").glob("*") if path.is_file())
    if not files:
        found = f"no file in {examples / f'Split-{split}'}"
        raise ConfigError(Problem("tflite", "examples", found, "TFRecord files of raw examples"))
    return files


def _unknown(version: Path, found: str) -> ConfigError:
    return ConfigError(Problem(str(version), "MODEL", found, _OTHERWISE))
