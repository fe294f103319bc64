"""What an export is asked for, and what came of it; JSON between the processes that it takes."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from serving.lite.comparison import Comparison
from serving.lite.config import LiteConfig, Variant
from serving.lite.metrics import Metric

SIGNATURE = "transformed"
"""What is converted: one tensor a transformed feature -> answers, all of it numbers."""

TRANSFORM_SIGNATURE = "transform_features"
"""What makes the features and the labels: serialized raw examples [b] -> transformed features."""


RAW_SIGNATURE = "serving_raw"
"""Whose inputs say what the raw features are; without it the scaling of the inputs is not told."""


class LiteExportFailed(RuntimeError):
    """No variant could even be tried, or one that is required was refused."""


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Job(_Message):
    """An export.

    Attributes:
        saved_model: folder of the SavedModel; has the two signatures above.
        name: of the model, for the files' metadata.
        version: of the model, for the files' metadata.
        representative: TFRecord files of raw examples, the train split's.
        test: TFRecord files of raw examples, the test split's.
        metrics: measured on the test split besides the comparison with the SavedModel.
        labels: names of the classes, by the output that they are of.
    """

    saved_model: Path
    name: str
    version: str = ""
    representative: list[Path]
    test: list[Path]
    config: LiteConfig
    metrics: list[Metric] = []
    labels: dict[str, list[str]] = {}


class Setting(_Message):
    """What all variants of an export are held to.

    Attributes:
        representative_rows, test_rows: as many as there were.
        metrics: the SavedModel's.
    """

    representative_rows: int
    test_rows: int
    metrics: dict[str, float]


class Measurement(_Message):
    """One variant as it was measured, or why it could not be.

    Attributes:
        size: of the file, in bytes.
        latency_ms: median of one row, by the number of threads.
        without_metadata: why the file says nothing about its tensors; None if it does.
    """

    variant: Variant
    failure: str | None = None
    size: int | None = None
    comparison: Comparison | None = None
    metrics: dict[str, float] = {}
    latency_ms: dict[str, float] = {}
    without_metadata: str | None = None


class Verdict(Measurement):
    """A measured variant, judged.

    Attributes:
        ratio: of its size to float32's.
        refusal: the figures outside its tolerance, or what failed; None if it is accepted.
    """

    ratio: float | None = None
    refusal: str | None = None


class Report(_Message):
    """An export that was carried out.

    Attributes:
        folder: where the accepted variants are, `<variant>.tflite` each.
        log: file of what TensorFlow printed.
    """

    saved_model: Path
    folder: Path
    log: Path
    setting: Setting
    variants: list[Verdict]
    required: list[Variant]

    @property
    def accepted(self) -> list[Verdict]:
        return [verdict for verdict in self.variants if verdict.refusal is None]

    @property
    def failure(self) -> str | None:
        """Why the export is a failure; None if it is none."""
        refused = [
            f"{verdict.variant} refused: {verdict.refusal}"
            for verdict in self.variants
            if verdict.refusal is not None
            and (verdict.variant in self.required or not self.accepted)
        ]
        return "; ".join(refused) or None
