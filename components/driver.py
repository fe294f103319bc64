"""A driver of our own: what a node finds out when a run comes to it, before the cache is asked."""

from __future__ import annotations

from typing import Any

from tfx.dsl.components.base import base_driver
from tfx.orchestration.portable import base_driver as launched_driver


class Driver(base_driver.BaseDriver, launched_driver.BaseDriver):
    """Both of TFX's classes: components take the first, the launcher calls `run` of the second."""

    def __init__(self, metadata_handle: Any) -> None:
        base_driver.BaseDriver.__init__(self, metadata_handle)
        launched_driver.BaseDriver.__init__(self, metadata_handle)
