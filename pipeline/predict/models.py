"""What answers: a version loaded here, or a server."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from pipeline.config_file import ConfigError, Problem
from serving.client.errors import ServingClientError
from serving.client.metadata import Signature, read_signatures

if TYPE_CHECKING:
    from serving.client.base import ServingClient


_CONTACT_SECONDS = 5.0
"""For the first answer of a server: nobody waits long to hear that an address is wrong."""


class Refused(Exception):
    """A batch that the model takes no part of; the message says why."""


class Model(Protocol):
    """Something that answers.

    Attributes:
        where: as messages name it.
    """

    where: str

    def signatures(self) -> Mapping[str, Signature]:
        """Returns the ways to ask it.

        Raises:
            ConfigError: if it cannot say so.
            ServingClientError: if a server does not.
        """
        ...

    def run(self, name: str, inputs: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        """Runs a signature on a batch; may be called from several threads.

        Raises:
            Refused: if the batch does not fit.
            ConfigError: if the model does not load.
            ServingClientError: if a server does not answer.
        """
        ...


class LocalModel:
    """A version loaded into this process, at the first batch: reading comes before that."""

    def __init__(self, folder: Path) -> None:
        self.where = str(folder)
        self._folder = folder
        self._session: Any = None
        self._lock = threading.Lock()

    def signatures(self) -> Mapping[str, Signature]:
        try:
            return read_signatures(self._folder)
        except ValueError as error:
            _, _, found = str(error).partition(": found ")
            found, _, allowed = found.partition("; allowed: ")
            raise ConfigError(Problem(self.where, "MODEL", found, allowed)) from error

    def run(self, name: str, inputs: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        from serving.session import InvalidModel, InvalidRequest, SavedModelSession

        with self._lock:
            if self._session is None:
                try:
                    self._session = SavedModelSession(self._folder)
                except InvalidModel as error:
                    problem = Problem(self.where, "MODEL", str(error), "a SavedModel")
                    raise ConfigError(problem) from error
        try:
            return self._session.run(name, inputs)
        except InvalidRequest as error:
            raise Refused(str(error)) from error


class RemoteModel:
    """A model on a server.

    Args:
        version, label: of the model; the newest version if neither is given.
        deadline: seconds for each answer, all retries counted.
    """

    def __init__(
        self, client: ServingClient, version: int | None, label: str | None, deadline: float
    ) -> None:
        self.where = f"{client.endpoint}, model {client.model}"
        self._client = client
        self._version = version
        self._label = label
        self._deadline = deadline

    def signatures(self) -> Mapping[str, Signature]:
        try:
            seconds = min(self._deadline, _CONTACT_SECONDS)
            return self._client.metadata(self._version, self._label, seconds).signatures
        except ServingClientError as error:
            if error.code.name in ("NOT_FOUND", "INVALID_ARGUMENT"):
                allowed = "a model, version or label that the server has; see its models.config"
                raise ConfigError(Problem(self.where, "MODEL", error.message, allowed)) from error
            raise

    def run(self, name: str, inputs: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        try:
            answers = self._client.predict(inputs, name, self._version, self._label, self._deadline)
        except ServingClientError as error:
            if error.code.name in ("INVALID_ARGUMENT", "FAILED_PRECONDITION", "OUT_OF_RANGE"):
                raise Refused(error.message) from error
            raise
        assert isinstance(answers, dict)
        return answers
