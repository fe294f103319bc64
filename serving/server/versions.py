"""The versions of one model that a server knows: their states, and who uses them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

from serving.server.errors import ServingError
from serving.server.policy import Snapshot, State
from serving.server.servable import Servable


@dataclass(frozen=True)
class VersionStatus:
    """A version as GetModelStatus tells it.

    Attributes:
        state: ModelVersionStatus.State.
        error_code: canonical code, 0 for none.
    """

    version: int
    state: int
    error_code: int
    error_message: str


@dataclass(eq=False)
class Version:
    """One version, from the moment that it is wanted until it is gone.

    Entered as a context, it lends its servable; it is no generator's, since every request does it.

    Attributes:
        is_aspired: whether it is still wanted.
        dropped: set when it no longer is.
        error: why it could not be loaded.
        leases: requests that use it.
    """

    name: str
    number: int
    folder: Path
    state: State = State.START
    is_aspired: bool = True
    dropped: asyncio.Event = field(default_factory=asyncio.Event)
    servable: Servable | None = None
    error: ServingError | None = None
    leases: int = 0
    _idle: asyncio.Event = field(default_factory=asyncio.Event)

    def drop(self) -> None:
        """Says that it is not wanted any more."""
        self.is_aspired = False
        self.dropped.set()

    def want(self) -> None:
        """Says that it is wanted again."""
        self.is_aspired = True
        self.dropped.clear()

    def __enter__(self) -> Servable:
        """Lends the servable: it is not unloaded before it is given back."""
        assert self.servable is not None
        self.leases += 1
        return self.servable

    def __exit__(self, *_: object) -> None:
        self.leases -= 1
        if not self.leases:
            self._idle.set()

    async def idle(self) -> None:
        """Returns when nobody uses it."""
        while self.leases:
            self._idle.clear()
            await self._idle.wait()

    @property
    def status(self) -> VersionStatus:
        if self.error is None or self.state is not State.END:
            return VersionStatus(self.number, int(self.state), 0, "")
        code = self.error.code.value[0]
        return VersionStatus(self.number, int(self.state), code, self.error.message)

    @property
    def snapshot(self) -> Snapshot:
        return Snapshot(
            self.number,
            self.is_aspired,
            is_new=self.state is State.START,
            is_ready=self.state is State.AVAILABLE,
        )


@dataclass(eq=False)
class ServedModel:
    """The versions of one model, those that ended among them."""

    name: str
    versions: dict[int, Version] = field(default_factory=dict)
    latest: Version | None = None

    def available(self) -> dict[int, Version]:
        """Returns the versions that can answer."""
        return {
            number: version
            for number, version in self.versions.items()
            if version.state is State.AVAILABLE
        }

    def aspire(self, folders: dict[int, Path]) -> None:
        """Makes these the versions that are wanted, by number.

        One that ended is begun anew when it is wanted again; one that failed only when it had not
        been wanted in between, as it is with TF Serving.
        """
        for number, version in self.versions.items():
            if version.is_aspired and number not in folders:
                version.drop()
        for number, folder in folders.items():
            known = self.versions.get(number)
            if known is None or (known.state is State.END and not known.is_aspired):
                self.versions[number] = Version(self.name, number, folder)
            elif not known.is_aspired:
                known.want()

    def renew(self, version: Version) -> None:
        """Begins a version anew that was wanted again while it was unloaded."""
        if version.is_aspired:
            self.versions[version.number] = Version(self.name, version.number, version.folder)

    def forget_unused(self) -> None:
        """Leaves out versions that were dropped before anything was done with them."""
        self.versions = {
            number: version
            for number, version in self.versions.items()
            if version.is_aspired or version.state is not State.START
        }

    def refresh(self) -> None:
        """Notes which version answers requests that name none; call it after a change of state."""
        available = self.available()
        self.latest = available[max(available)] if available else None
