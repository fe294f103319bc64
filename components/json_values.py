"""Values as JSON has them: there is no NaN in it, and nothing infinite."""

from __future__ import annotations

import math
from typing import Any


def finite(value: Any) -> Any:
    """Returns a value made of dicts, lists and scalars, with None for what is not finite."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
