"""How a look-up that found nothing says so.

A node of Kubeflow puts out exactly one artifact for each of its outputs. One with this property
stands for none: the entrypoint takes it away before a node sees it.
"""

from __future__ import annotations

from typing import Any

ABSENT = "absent"


def mark_absent(artifact: Any) -> None:
    """Makes an output artifact stand for none."""
    artifact.set_int_custom_property(ABSENT, 1)
