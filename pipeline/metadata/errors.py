"""What a user is told when the metadata cannot be had."""

from __future__ import annotations


class MetadataError(Exception):
    """The metadata cannot be read or written, for a reason that a person can mend.

    Never holds a password.

    Args:
        key: of the configuration.
        found: what is wrong.
        allowed: what to do.
    """

    def __init__(self, key: str, found: str, allowed: str) -> None:
        super().__init__(f"{key}: found {found}; allowed: {allowed}")
        self.key, self.found, self.allowed = key, found, allowed

    def __reduce__(self) -> tuple[type[MetadataError], tuple[str, str, str]]:
        # Beam hands errors from process to process.
        return MetadataError, (self.key, self.found, self.allowed)
