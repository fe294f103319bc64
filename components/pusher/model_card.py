"""The model card: what a version is, where it comes from, and how well it does.

`assets.extra/model_card.json` for programs, `model_card.md` beside it for people; after Mitchell et
al., Model Cards for Model Reporting (arXiv:1810.03993).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import tensorflow as tf
from pydantic import Field

from components.evaluator.config import EvaluateConfig
from components.evaluator.results import load_measurements
from components.evaluator.verdict import checks
from components.json_values import finite
from components.pusher.card_markdown import card_markdown
from components.statistics import row_counts
from serving.missing_values import NULLABLE
from serving.saved_model_file import read_signatures
from serving.version_folders import MODEL_CARD
from trainer_module.config import TaskConfig
from trainer_module.config.section import Section
from trainer_module.tasks import make_task

Card = dict[str, Any]


class CardSettings(Section):
    """What a run's configuration and code say of the model."""

    task: TaskConfig
    evaluate: EvaluateConfig
    code: str = Field(description="hash of the source that trained it")
    libraries: dict[str, str] = Field(
        default_factory=dict, description="versions that the code computes by"
    )


def make_card(
    name: str,
    digest: str,
    saved_model: Path,
    data: Mapping[str, Any],
    settings: CardSettings | None,
    artifacts: Mapping[str, Any],
    run_id: str | None,
    execution_id: int | None,
) -> Card:
    """Gathers what is known of a model.

    Args:
        name: that it is served by.
        digest: of the SavedModel's files.
        saved_model: folder of the SavedModel.
        data: section of the configuration that says what it was trained on.
        settings: None for a model that no configuration made.
        artifacts: of ML Metadata, by what they are to the push: `model` and, where there is one,
            `evaluation`, `schema` and `statistics`.
        run_id, execution_id: of the push, in ML Metadata; None outside of a pipeline.

    Returns:
        Plain JSON; None, or an empty list or object, for what is not known.
    """
    card: Card = {
        "name": name,
        "digest": digest,
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "task": settings and settings.task.model_dump(mode="json"),
        "code": settings and settings.code,
        "libraries": settings.libraries if settings else {},
        "data": dict(data),
        "rows": row_counts(artifacts["statistics"].uri) if "statistics" in artifacts else {},
        "schema_sha256": _schema_hash(artifacts["schema"].uri) if "schema" in artifacts else None,
        **_measured(settings, artifacts.get("evaluation")),
        "signatures": {
            signature: {
                "method": definition.method_name,
                "inputs": _tensors(definition.inputs),
                "outputs": _tensors(definition.outputs),
            }
            for signature, definition in read_signatures(saved_model).items()
        },
        "lineage": {
            "run_id": run_id,
            "execution_id": execution_id,
            "artifacts": {
                role: {"id": artifact.id, "type": artifact.type_name, "uri": artifact.uri}
                for role, artifact in artifacts.items()
            },
        },
    }
    return finite(card)


def write_card(version: Path, card: Card) -> None:
    """Writes a card into a version's folder, as JSON and as Markdown."""
    path = version / MODEL_CARD
    path.parent.mkdir(exist_ok=True)
    text = json.dumps(card, allow_nan=False, indent=2, ensure_ascii=False)
    path.write_text(f"{text}\n", encoding="utf-8")
    path.with_suffix(".md").write_text(card_markdown(card), encoding="utf-8")


def _measured(settings: CardSettings | None, evaluation: Any) -> Card:
    """Returns the metrics of the model and of the one before, and each threshold's verdict."""
    if settings is None or evaluation is None:
        return {"metrics": {}, "slices": {}, "baseline": None, "thresholds": []}
    candidate, baseline = load_measurements(evaluation.uri, make_task(settings.task))
    return {
        "metrics": candidate.overall,
        "slices": candidate.slices,
        "baseline": baseline and baseline.overall,
        "thresholds": [
            {"check": check.text, "passed": check.passed}
            for check in checks(settings.evaluate, candidate, baseline)
        ],
    }


def _schema_hash(schema_uri: str) -> str:
    """Returns the SHA-256 of the schema's file."""
    return hashlib.sha256(Path(schema_uri, "schema.pbtxt").read_bytes()).hexdigest()


def _tensors(infos: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        alias: {
            "dtype": tf.dtypes.as_dtype(infos[alias].dtype).name,
            "shape": _shape(tf.TensorShape(infos[alias].tensor_shape)),
            **({"nullable": True} if _is_nullable(infos[alias]) else {}),
        }
        for alias in sorted(infos)
    }


def _is_nullable(info: Any) -> bool:
    return [dim.name for dim in info.tensor_shape.dim[:1]] == [NULLABLE]


def _shape(shape: tf.TensorShape) -> Sequence[int | None] | None:
    return None if shape.rank is None else shape.as_list()
