"""The wheel by which this package gets to workers that have not installed it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

_CLONE = Path(__file__).resolve().parents[2]
_PARTS = ("setup.py", "pyproject.toml", "pipeline", "components", "trainer_module", "serving")


def build_wheel(folder: Path) -> Path:
    """Builds the wheel of the clone that this runs from, and returns its path in `folder`.

    Raises:
        subprocess.CalledProcessError: if it does not build; pip has said why.
    """
    with tempfile.TemporaryDirectory() as copy:
        # Setuptools leaves files beside what it builds, and packs what it once left there.
        for name in _PARTS:
            path = _CLONE / name
            if path.is_dir():
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(path, Path(copy, name), ignore=ignored)
            else:
                shutil.copy(path, copy)
        subprocess.run(
            [
                *(sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"),
                *("--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), copy),
            ],
            check=True,
            stdout=sys.stderr,
        )
    (wheel,) = folder.glob("tapeline-*.whl")
    return wheel
