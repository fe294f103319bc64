"""The Chicago taxi trips that TFX ships, and the configuration that `tapeline init` makes of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

LABEL = "tips > 0.2 * fare"


def example_folder() -> Path:
    """Returns TFX's folder of its taxi example; finding it imports nothing of TFX."""
    from importlib.metadata import distribution

    return Path(str(distribution("tfx").locate_file("tfx/examples/chicago_taxi_pipeline")))


def taxi_csv() -> Path:
    """Returns the 15,002 trips."""
    return example_folder() / "data" / "simple" / "data.csv"


def init(csv: Path, config: Path) -> None:
    """Writes what `tapeline init` makes of a CSV of trips.

    Raises:
        subprocess.CalledProcessError: if it fails.
    """
    command = [sys.executable, "-m", "pipeline.cli", "init", "--data", str(csv)]
    subprocess.run(
        [*command, "--label", LABEL, "-o", str(config)], check=True, stderr=subprocess.DEVNULL
    )
