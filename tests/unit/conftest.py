"""What the tests of more than one package share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def write_serving_root() -> Callable[..., Path]:
    """Writes a serving directory as a push leaves it, the model's version an empty folder."""

    def write(root: Path, name: str = "digits", version: int = 3) -> Path:
        from serving.config import BatchingConfig
        from serving.text_configs import batching_text, models_text

        (root / name / str(version)).mkdir(parents=True)
        (root / "models.config").write_text(models_text("", name, str(root / name)))
        (root / "batching.config").write_text(batching_text(BatchingConfig()))
        (root / "monitoring.config").write_text("prometheus_config { enable: true }\n")
        return root

    return write


@pytest.fixture(scope="session")
def write_program() -> Callable[[Path, str], Path]:
    """Writes a shell script that can be executed."""

    def write(path: Path, script: str) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return path

    return write
