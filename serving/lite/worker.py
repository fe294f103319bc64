"""Converts, runs and measures variants, each in turn; the process that may be ended under the work.

    python -m serving.lite.worker JOB FOLDER VARIANT...

Leaves `setting.json` in the folder, or `error.json` if there is nothing to measure by; then for
each variant `<variant>.tflite` and, last, `<variant>.json`. What it prints is TensorFlow's.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from serving.atomic_files import replace_text
from serving.lite.job import Job, LiteExportFailed

SETTING_FILE, ERROR_FILE = "setting.json", "error.json"


def main(arguments: list[str]) -> int:
    # Before TensorFlow is imported, which the bench does.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
    from serving.lite.bench import Bench

    job_path, folder, *variants = arguments
    job = Job.model_validate_json(Path(job_path).read_text(encoding="utf-8"))
    try:
        bench = Bench(job)
    except LiteExportFailed as error:
        replace_text(Path(folder, ERROR_FILE), json.dumps(str(error)))
        return 1
    replace_text(Path(folder, SETTING_FILE), json.dumps(bench.setting().model_dump()))
    for variant in job.config.variants:
        if variant in variants:
            measured = bench.measure(variant, Path(folder, f"{variant}.tflite"))
            replace_text(Path(folder, f"{variant}.json"), json.dumps(measured.model_dump()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
