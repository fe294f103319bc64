"""Exports a SavedModel as TF Lite files: those variants that answer as it does, and a report.

    <folder>/<variant>.tflite   each accepted variant
    <folder>/lite.json          the report, with the refused ones and their figures
    <folder>/conversion.log     what TensorFlow printed

The report is taken away first and written last: where it is, the files are those that it lists.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from serving.atomic_files import exclusive, replace_text, sync_tree
from serving.lite.comparison import objections
from serving.lite.config import VARIANTS, Variant
from serving.lite.job import (
    Job,
    LiteExportFailed,
    Measurement,
    Report,
    Setting,
    Verdict,
)
from serving.lite.worker import ERROR_FILE, SETTING_FILE

REPORT_FILE, LOG_FILE = "lite.json", "conversion.log"

WORKER = "serving.lite.worker"
"""Module that is run with a job, a folder and the variants to leave in it."""

_STAGING_PREFIX = ".tapeline-lite-"


def export_lite(job: Job, folder: Path) -> Report:
    """Makes, measures and judges the variants of a job, and puts the accepted ones into `folder`.

    What an earlier export left in the folder is replaced. Whether the verdicts make a failure is
    for the caller: `Report.failure`.

    Raises:
        LiteExportFailed: if there is nothing to measure by; the folder is then as it was, but for
            the log.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive(folder):
        _remove_stale_staging(folder)
        staging = Path(tempfile.mkdtemp(prefix=_STAGING_PREFIX, dir=folder))
        try:
            setting, measured = _measure_all(job, staging, folder / LOG_FILE)
            report = Report(
                saved_model=job.saved_model,
                folder=folder,
                log=folder / LOG_FILE,
                setting=setting,
                variants=judge(job, measured),
                required=job.config.required_variants,
            )
            _publish(report, staging)
            return report
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def judge(job: Job, measured: Sequence[Measurement]) -> list[Verdict]:
    """Returns the verdict on each variant."""
    sizes = {found.variant: found.size for found in measured}
    float32 = sizes.get("float32")
    verdicts = []
    for found in measured:
        refusal = found.failure
        if found.comparison is not None:
            tolerance = job.config.tolerance(found.variant)
            refusal = ", ".join(objections(found.comparison, tolerance)) or None
        ratio = found.size / float32 if found.size and float32 else None
        verdicts.append(Verdict(**found.model_dump(), ratio=ratio, refusal=refusal))
    return verdicts


def _measure_all(job: Job, staging: Path, log: Path) -> tuple[Setting, list[Measurement]]:
    """Has the variants measured; where that ends the process, goes on after the one at fault."""
    replace_text(staging / "job.json", job.model_dump_json())
    log.write_bytes(b"")
    measured: dict[Variant, Measurement] = {}
    while pending := [variant for variant in job.config.variants if variant not in measured]:
        code = _work(staging, pending, log)
        if (staging / ERROR_FILE).is_file():
            raise LiteExportFailed(json.loads((staging / ERROR_FILE).read_text(encoding="utf-8")))
        if not (staging / SETTING_FILE).is_file():
            raise LiteExportFailed(f"the process {_ending(code)}; see {log}")
        for variant in pending:
            path = staging / f"{variant}.json"
            if not path.is_file():
                failure = f"the process that converts and runs it {_ending(code)}; see {log}"
                measured[variant] = Measurement(variant=variant, failure=failure)
                break
            measured[variant] = Measurement.model_validate_json(path.read_text(encoding="utf-8"))
    setting = Setting.model_validate_json((staging / SETTING_FILE).read_text(encoding="utf-8"))
    return setting, [measured[variant] for variant in job.config.variants]


def _work(staging: Path, variants: Sequence[Variant], log: Path) -> int:
    """Runs the worker to its end; returns its exit code."""
    command = [sys.executable, "-m", WORKER, str(staging / "job.json"), str(staging)]
    with log.open("ab") as output:
        return subprocess.run(
            [*command, *variants], stdout=output, stderr=output, check=False
        ).returncode


def _ending(code: int) -> str:
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with code {code}"


def _publish(report: Report, staging: Path) -> None:
    """Moves the accepted files into the folder, and takes away those of an earlier export."""
    sync_tree(staging)
    (report.folder / REPORT_FILE).unlink(missing_ok=True)
    accepted = {verdict.variant for verdict in report.accepted}
    for variant in VARIANTS:
        name = f"{variant}.tflite"
        if variant in accepted:
            os.replace(staging / name, report.folder / name)
        else:
            (report.folder / name).unlink(missing_ok=True)
    replace_text(report.folder / REPORT_FILE, report.model_dump_json(indent=2))


def _remove_stale_staging(folder: Path) -> None:
    """Removes what an export that was killed left; the lock says that none is going on."""
    for path in folder.glob(f"{_STAGING_PREFIX}*"):
        shutil.rmtree(path, ignore_errors=True)
