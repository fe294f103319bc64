"""The client for TF Serving's REST interface."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

import httpcore
import httpx
import numpy as np
from grpc import StatusCode

from serving.client.base import DEFAULT_TIMEOUT, ServingClient
from serving.client.errors import ServingClientError, code_of
from serving.client.examples import to_json
from serving.client.metadata import (
    Metadata,
    Signature,
    Target,
    VersionStatus,
    signatures_of_json,
)
from serving.client.rest_json import outputs_of, predict_body, to_bytes
from serving.client.rest_transport import DeadlineTransport, until
from serving.client.retries import Deadline, RetryPolicy
from serving.client.tls import TLS


class RestClient(ServingClient):
    """Asks over HTTP/1.1 with connections that are kept; see ServingClient.

    Args:
        url: of the server, `http://host:8501` or `https://...`.
        tls: for https; the authorities of the system if None.

    Raises:
        ValueError: if `url` is no such address.
    """

    def __init__(
        self,
        url: str,
        model: str,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        retry: RetryPolicy | None = None,
        tls: TLS | None = None,
    ) -> None:
        parsed = _parsed(url)
        super().__init__(url.rstrip("/"), model, timeout=timeout, retry=retry)
        is_secure = parsed.scheme == "https"
        # In the clear there is nothing to verify, nor a reason to load the authorities.
        context = (tls or TLS()).context() if is_secure else None
        self._http = httpx.Client(transport=DeadlineTransport(parsed, context))

    def close(self) -> None:
        self._http.close()

    def _predict(
        self,
        target: Target,
        name: str,
        signature: Signature,
        arrays: Mapping[str, np.ndarray],
        within: Deadline,
    ) -> dict[str, np.ndarray]:
        answer = self._ask(
            "POST", f"{target.rest_path}:predict", within, predict_body(name, arrays)
        )
        with _read("predict"):
            return outputs_of(answer, signature)

    def _classify(
        self, target: Target, name: str | None, examples: list[Any], context: Any, within: Deadline
    ) -> list[list[tuple[str, float]]]:
        body = _examples_body(name, examples, context)
        answer = self._ask("POST", f"{target.rest_path}:classify", within, body)
        with _read("classify"):
            return [
                [(str(label), float(score)) for label, score in row] for row in answer["results"]
            ]

    def _regress(
        self, target: Target, name: str | None, examples: list[Any], context: Any, within: Deadline
    ) -> list[float]:
        body = _examples_body(name, examples, context)
        answer = self._ask("POST", f"{target.rest_path}:regress", within, body)
        with _read("regress"):
            return [float(value) for value in answer["results"]]

    def _get_metadata(self, target: Target, within: Deadline) -> Metadata:
        answer = self._ask("GET", f"{target.rest_path}/metadata", within)
        with _read("metadata"):
            return Metadata(
                answer["model_spec"]["name"],
                int(answer["model_spec"]["version"]),
                signatures_of_json(answer["metadata"]["signature_def"]["signature_def"]),
            )

    def _status(self, target: Target, within: Deadline) -> list[VersionStatus]:
        answer = self._ask("GET", target.rest_path, within)
        with _read("status"):
            return [
                VersionStatus(
                    int(status["version"]),
                    status["state"],
                    _error_code(status["status"]["error_code"]),
                    status["status"]["error_message"],
                )
                for status in answer["model_version_status"]
            ]

    def _ask(self, method: str, path: str, within: Deadline, body: bytes | None = None) -> Any:
        """Returns the JSON of an answer."""
        headers = {"Content-Type": "application/json"} if body is not None else None
        try:
            with until(within):
                response = self._http.request(
                    method, self.endpoint + path, content=body, headers=headers
                )
        except httpcore.TimeoutException as error:
            raise within.exceeded() from error
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise ServingClientError(
                StatusCode.UNAVAILABLE, f"{self.endpoint}: {error or type(error).__name__}"
            ) from error
        except httpx.RequestError as error:
            raise ServingClientError(
                StatusCode.INTERNAL, f"{path}: not an answer of TF Serving: {error}"
            ) from error
        if response.status_code != 200:
            raise _error_of(response)
        with _read(path):
            return json.loads(response.content)


def _parsed(url: str) -> httpx.URL:
    refused = ValueError(f"url: found {url!r}; allowed: http://HOST:PORT or https://HOST:PORT")
    try:
        parsed = httpx.URL(url)
        is_address = parsed.scheme in ("http", "https") and bool(parsed.host)
        is_address &= parsed.port is None or 0 < parsed.port < 2**16
    except (httpx.InvalidURL, ValueError) as error:
        raise refused from error
    if not is_address or parsed.query or parsed.fragment:
        raise refused
    return parsed


@contextlib.contextmanager
def _read(what: str) -> Iterator[None]:
    """Turns what an answer lacks into INTERNAL: a server, or a proxy, of another kind."""
    try:
        yield
    except (ValueError, TypeError, KeyError) as error:
        raise ServingClientError(
            StatusCode.INTERNAL, f"{what}: not an answer of TF Serving: {error}"
        ) from error


def _examples_body(name: str | None, examples: list[Any], context: Any) -> bytes:
    body: dict[str, Any] = {"examples": [to_json(example) for example in examples]}
    if name is not None:
        body["signature_name"] = name
    if context is not None:
        body["context"] = to_json(context)
    return to_bytes(body)


def _error_of(response: httpx.Response) -> ServingClientError:
    text = response.content.decode("utf-8", "replace")
    with contextlib.suppress(ValueError, TypeError, KeyError):
        text = str(json.loads(text)["error"])
    message = text.strip()[:2000] or f"HTTP {response.status_code} {response.reason_phrase}"
    wait = response.headers.get("Retry-After", "")
    return ServingClientError(
        code_of(response.status_code), message, retry_after=float(wait) if wait.isdigit() else None
    )


def _error_code(code: Any) -> int:
    """Returns the number of a canonical code, which JSON has by name."""
    if isinstance(code, int):
        return code
    by_name = {status.name: status.value[0] for status in StatusCode}
    return by_name.get(code, StatusCode.UNKNOWN.value[0])
