"""The processes of one server, as one of them sees the others.

A request reaches one process. What concerns all goes through here: a new configuration is in force
everywhere before it is confirmed, and a version is AVAILABLE when every process has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from serving.server.manager import ModelManager, VersionStatus, Wanted
from serving.server.policy import State


class Peers(Protocol):
    """All processes of a server, this one among them."""

    async def statuses(self, wanted: Wanted) -> list[VersionStatus]:
        """Returns the states of a model's versions, newest first.

        Raises:
            ServingError: as `ModelManager.status`.
        """

    async def reload(self, config: Any) -> None:
        """Makes a ModelServerConfig the set of models in every process.

        Raises:
            ServingError: as `ModelManager.reload`.
        """


class Alone:
    """A server of one process."""

    def __init__(self, manager: ModelManager) -> None:
        self._manager = manager

    async def statuses(self, wanted: Wanted) -> list[VersionStatus]:
        return self._manager.status(wanted)

    async def reload(self, config: Any) -> None:
        await self._manager.reload(config)


# From the least to the most that a version can do for a client, errors apart.
_ORDER = (State.END, State.UNLOADING, State.START, State.LOADING, State.AVAILABLE)


def merged(answers: Sequence[Sequence[VersionStatus]]) -> list[VersionStatus]:
    """Returns the states that hold in every process: of each version the least of its states.

    A version that one process knows and another does not yet is at its start.
    """
    by_version: dict[int, list[VersionStatus]] = {}
    for answer in answers:
        for status in answer:
            by_version.setdefault(status.version, []).append(status)
    found = []
    for version, statuses in sorted(by_version.items(), reverse=True):
        least = min(statuses, key=lambda status: _ORDER.index(State(status.state)))
        if len(statuses) < len(answers) and State(least.state) is State.AVAILABLE:
            least = VersionStatus(version, int(State.START), 0, "")
        found.append(least)
    return found
