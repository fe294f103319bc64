"""A model exported in all variants, once for all that look at it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from serving.lite.config import LiteConfig
from serving.lite.export import export_lite
from serving.lite.job import Job, Report
from serving.lite.metrics import Metric

METRICS = [
    Metric(key="kind/accuracy", kind="accuracy", output="probabilities", label="kind"),
]
CLASSES = ["cat", "dog", "frog", "horse"]


@pytest.fixture(scope="session")
def make_job(lite_source) -> Callable[..., Job]:
    """Makes a job of the shared model; keywords are of the `lite` section."""

    def make(folder=lite_source.folder, examples=lite_source.examples, **lite) -> Job:
        return Job(
            saved_model=folder,
            name="pictures",
            version="7",
            representative=sorted((examples / "Split-train").iterdir()),
            test=sorted((examples / "Split-test").iterdir()),
            config=LiteConfig.model_validate(lite),
            metrics=METRICS if folder == lite_source.folder else [],
            labels={"class_id": CLASSES, "probabilities": CLASSES},
        )

    return make


@pytest.fixture(scope="session")
def report(make_job, tmp_path_factory) -> Report:
    """All variants of the shared model."""
    return export_lite(make_job(), tmp_path_factory.mktemp("exported"))
