"""How the loop tells what it is doing, without knowing who listens.

Events go through the standard logger `tapeline.progress`, each with its fields in
`record.event`. A terminal display, a plain log and a scheduler's log read the same records.
"""

from __future__ import annotations

import logging
from typing import Any

LOGGER_NAME = "tapeline.progress"
_logger = logging.getLogger(LOGGER_NAME)
_logger.setLevel(logging.INFO)


def emit(kind: str, **fields: Any) -> None:
    """Sends one event; `kind` names it, `fields` are plain JSON values."""
    text = " ".join(f"{key}={value}" for key, value in fields.items())
    _logger.info("%s %s", kind, text, extra={"event": {"kind": kind, **fields}})
