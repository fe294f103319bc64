"""Files that are whole at any instant: written beside their place and renamed into it."""

from __future__ import annotations

import os
from pathlib import Path


def write_whole(path: str, text: str) -> None:
    """Writes a text; killed on the way, the file is as it was."""
    partial = Path(path + ".partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)
