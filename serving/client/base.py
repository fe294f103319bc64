"""What a client offers, whatever the protocol."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, TypeVar

import numpy as np
import tenacity
from grpc import StatusCode

from serving.client.errors import ServingClientError, invalid_argument
from serving.client.examples import Examples, to_examples
from serving.client.frames import Answers, Inputs, arrays_of, in_the_form_of
from serving.client.metadata import DEFAULT_SIGNATURE, Metadata, Signature, Target, VersionStatus
from serving.client.retries import Deadline, RetryPolicy

DEFAULT_TIMEOUT = 10.0
_STATUS_TIMEOUT = 5.0
_NOT_YET = (StatusCode.UNAVAILABLE, StatusCode.NOT_FOUND, StatusCode.DEADLINE_EXCEEDED)

T = TypeVar("T")
Self = TypeVar("Self", bound="ServingClient")


class ServingClient(abc.ABC):
    """Asks one model of a server; safe to use from several threads, keeps its connections.

    Every method takes `timeout`, the seconds until the answer is there, all retries counted; and
    raises ServingClientError: UNAVAILABLE if the server cannot be reached, DEADLINE_EXCEEDED if the
    answer takes too long, NOT_FOUND for an unknown model or version, INVALID_ARGUMENT for a request
    that does not fit the model.

    Args:
        endpoint: the server, as messages name it.
        model: the model's name on the server.
        timeout: of each request that says none, in seconds.
        retry: when to ask again after UNAVAILABLE and RESOURCE_EXHAUSTED (HTTP 502, 503, 429).
    """

    def __init__(
        self,
        endpoint: str,
        model: str,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        retry: RetryPolicy | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.model = model
        self.timeout = timeout
        self.retry = retry or RetryPolicy()
        self._metadata: dict[Target, Metadata] = {}

    def predict(
        self,
        inputs: Inputs,
        signature: str | None = None,
        version: int | None = None,
        label: str | None = None,
        timeout: float | None = None,
    ) -> Answers:
        """Runs a signature on a batch.

        Args:
            inputs: by name an array, or lists of values, the batch first; or a DataFrame with a
                column for each input. Cast to the signature's types where that loses nothing.
            signature: `serving_default` if None.
            version, label: of the model; its newest version if neither is given.

        Returns:
            An array for each output, of the signature's types, strings as objects that are bytes;
            for a DataFrame, another with a column for each output, text as `str`.
        """
        name = signature or DEFAULT_SIGNATURE
        target = Target(self.model, version, label)
        deadline = self._deadline(timeout)

        def ask(metadata: Metadata) -> dict[str, np.ndarray]:
            spec = _signature(metadata, name)
            arrays = arrays_of(inputs, spec)
            return self.retry.call(
                lambda within: self._predict(target, name, spec, arrays, within), deadline
            )

        return in_the_form_of(inputs, self._with_metadata(target, deadline, ask))

    def classify(
        self,
        examples: Examples,
        signature: str | None = None,
        version: int | None = None,
        label: str | None = None,
        timeout: float | None = None,
        context: Any = None,
    ) -> Answers:
        """Classifies tf.Examples.

        Args:
            examples: features by name each, or tf.Examples, serialized or not; or a DataFrame with
                a row for each.
            context: features that all examples share.

        Returns:
            `classes` [b, n], bytes as objects, and `scores` [b, n], float32; for a DataFrame,
            another with these columns, a list each.
        """
        results = self._ask_about_examples(
            self._classify, examples, context, signature, version, label, timeout
        )
        sizes = {len(row) for row in results}
        if len(sizes) > 1:
            raise ServingClientError(
                StatusCode.INTERNAL, f"found answers of {sorted(sizes)} classes in one batch"
            )
        shape = (len(results), *sizes) if sizes else (0, 0)
        classes = np.empty(shape, object)
        classes.reshape(-1)[:] = [label.encode() for row in results for label, _ in row]
        scores = np.array([score for row in results for _, score in row], np.float32)
        return in_the_form_of(examples, {"classes": classes, "scores": scores.reshape(shape)})

    def regress(
        self,
        examples: Examples,
        signature: str | None = None,
        version: int | None = None,
        label: str | None = None,
        timeout: float | None = None,
        context: Any = None,
    ) -> Answers:
        """Predicts a number for each tf.Example; arguments as for `classify`.

        Returns:
            `outputs` [b], float32; for a DataFrame, another with this column.
        """
        results = self._ask_about_examples(
            self._regress, examples, context, signature, version, label, timeout
        )
        return in_the_form_of(examples, {"outputs": np.array(results, np.float32)})

    def metadata(
        self, version: int | None = None, label: str | None = None, timeout: float | None = None
    ) -> Metadata:
        """Returns the signatures of a version."""
        return self._fetch_metadata(Target(self.model, version, label), self._deadline(timeout))

    def status(
        self, version: int | None = None, label: str | None = None, timeout: float | None = None
    ) -> list[VersionStatus]:
        """Returns the state of each version, the newest first; of one version, if one is named."""
        target = Target(self.model, version, label)
        return self.retry.call(lambda within: self._status(target, within), self._deadline(timeout))

    def wait_until_available(
        self, version: int | None = None, label: str | None = None, timeout: float = 60.0
    ) -> VersionStatus:
        """Waits until the server is up and the version, or any, is AVAILABLE; returns its status.

        Raises:
            ServingClientError: DEADLINE_EXCEEDED, with what was last heard.
        """
        target = Target(self.model, version, label)
        deadline = Deadline(timeout)
        heard = "nothing"

        def available() -> VersionStatus | None:
            nonlocal heard
            try:
                found = self._status(target, Deadline(min(_STATUS_TIMEOUT, deadline.remaining())))
            except ServingClientError as error:
                if error.code not in _NOT_YET:
                    raise
                if error.code != StatusCode.DEADLINE_EXCEEDED or heard == "nothing":
                    heard = str(error)
                return None
            heard = ", ".join(_described(status) for status in found) or "no version"
            return next((status for status in found if status.state == "AVAILABLE"), None)

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_result(lambda status: status is None),
            wait=tenacity.wait_exponential(multiplier=0.05, max=1.0),
            stop=tenacity.stop_before_delay(timeout),
            retry_error_callback=lambda state: None,
        )
        status = retrying(available)
        if status is None:
            raise ServingClientError(
                StatusCode.DEADLINE_EXCEEDED,
                f"{target}: not AVAILABLE on {self.endpoint} within {timeout:g} s; "
                f"last heard: {heard}",
            )
        return status

    @abc.abstractmethod
    def close(self) -> None:
        """Closes the connections."""

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # One attempt each, which raises ServingClientError and takes no longer than `within`.

    @abc.abstractmethod
    def _predict(
        self,
        target: Target,
        name: str,
        signature: Signature,
        arrays: Mapping[str, np.ndarray],
        within: Deadline,
    ) -> dict[str, np.ndarray]: ...

    @abc.abstractmethod
    def _classify(
        self, target: Target, name: str | None, examples: list[Any], context: Any, within: Deadline
    ) -> list[list[tuple[str, float]]]: ...

    @abc.abstractmethod
    def _regress(
        self, target: Target, name: str | None, examples: list[Any], context: Any, within: Deadline
    ) -> list[float]: ...

    @abc.abstractmethod
    def _get_metadata(self, target: Target, within: Deadline) -> Metadata: ...

    @abc.abstractmethod
    def _status(self, target: Target, within: Deadline) -> list[VersionStatus]: ...

    def _deadline(self, timeout: float | None) -> Deadline:
        return Deadline(self.timeout if timeout is None else timeout)

    def _ask_about_examples(
        self,
        ask: Callable[..., list[Any]],
        examples: Examples,
        context: Any,
        signature: str | None,
        version: int | None,
        label: str | None,
        timeout: float | None,
    ) -> list[Any]:
        target = Target(self.model, version, label)
        messages = to_examples(examples)
        shared = None if context is None else to_examples([context])[0]
        results = self.retry.call(
            lambda within: ask(target, signature, messages, shared, within),
            self._deadline(timeout),
        )
        if len(results) != len(messages):
            raise ServingClientError(
                StatusCode.INTERNAL,
                f"found {len(results)} answers to {len(messages)} examples; allowed: one each",
            )
        return results

    def _fetch_metadata(self, target: Target, deadline: Deadline) -> Metadata:
        found = self.retry.call(lambda within: self._get_metadata(target, within), deadline)
        self._metadata[target] = found
        return found

    def _with_metadata(self, target: Target, deadline: Deadline, ask: Callable[[Metadata], T]) -> T:
        """Returns what `ask` returns for the model's signatures, which are fetched once.

        A newer version may have come since with other signatures: what does not fit the known ones
        is held against those of now before it is refused.
        """
        known = self._metadata.get(target)
        if known is None:
            return ask(self._fetch_metadata(target, deadline))
        try:
            return ask(known)
        except ServingClientError as error:
            if error.is_transient or error.code == StatusCode.DEADLINE_EXCEEDED:
                raise
            fetched = self._fetch_metadata(target, deadline)
            if fetched.signatures == known.signatures:
                raise
            return ask(fetched)


def _signature(metadata: Metadata, name: str) -> Signature:
    if name not in metadata.signatures:
        raise invalid_argument(
            f"signature: found {name!r}; allowed: {', '.join(metadata.signatures)}"
        )
    return metadata.signatures[name]


def _described(status: VersionStatus) -> str:
    failure = f" ({status.error_message})" if status.error_code else ""
    return f"version {status.version} {status.state}{failure}"
