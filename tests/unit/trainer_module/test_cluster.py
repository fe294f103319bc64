"""The process that starts a cluster: it computes nothing, and has nothing to wait for."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

_CODE = """
import sys
from trainer_module import cluster
from trainer_module.config.job import Job

print(cluster._saved_step(Job.model_validate_json(sys.argv[1])), "tensorflow" in sys.modules)
"""


@pytest.mark.parametrize(
    ("debug", "step"), [({}, 30), ({"overfit_batches": 2}, 20)], ids=["plain", "overfit"]
)
def test_saved_step_when_told_on_the_way_out_then_tensorflow_is_not_loaded_for_it(
    tmp_path, debug, step
):
    for folder, newest in ((tmp_path, 30), (tmp_path / "overfit-2", 20)):
        (folder / "latest" / f"step-{newest:010d}").mkdir(parents=True)
    job = {
        "task": {"name": "digits"},
        "train": {"epochs": 1, "batch_size": 32, "debug": debug},
        "data": {"train": ["train"], "eval": ["eval"], "features": {"x": {"dtype": "int64"}}},
        "folder": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-c", _CODE, json.dumps(job)], capture_output=True, text=True, check=False
    )
    assert done.stdout == f"{step} False\n", done.stderr[-2000:]
