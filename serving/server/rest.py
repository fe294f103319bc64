"""TF Serving's REST interface as a raw ASGI application (`http_rest_api_handler.cc`).

    POST /v1/models/NAME[/versions/V|/labels/L]:predict|classify|regress
    GET  /v1/models/NAME[/versions/V|/labels/L][/metadata]

Bodies may be gzip, as TF Serving takes them; answers are not compressed.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from weakref import WeakKeyDictionary

import orjson

from serving.server import answers, examples, json_text, rest_answers, rest_json
from serving.server.admission import Admission
from serving.server.decoding import Decoder
from serving.server.errors import ServingError, invalid_argument
from serving.server.manager import ModelManager
from serving.server.metrics import CONTENT_TYPE, Metrics
from serving.server.peers import Peers
from serving.server.rest_body import BadBody, Deadline, read_body
from serving.server.rest_routes import Route, route
from serving.server.servable import Servable

_LOG = logging.getLogger(__name__)

_Scope = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
_Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_JSON = (b"content-type", b"application/json")


class RestApi:
    """The application.

    Args:
        timeout_seconds: of a request, its body's included; 0 for none.
        max_body_bytes: of a body, unpacked.
        metrics, metrics_path: None for no metrics.
    """

    def __init__(
        self,
        manager: ModelManager,
        peers: Peers,
        admission: Admission,
        timeout_seconds: float = 30.0,
        max_body_bytes: int = 64 << 20,
        metrics: Metrics | None = None,
        metrics_path: str | None = None,
    ) -> None:
        self._manager = manager
        self._peers = peers
        self._admission = admission
        self._timeout = timeout_seconds
        self._max_body = max_body_bytes
        self._decoder = Decoder()
        self._metrics = metrics
        self._metrics_path = (metrics_path or "").encode()
        self._dtypes: WeakKeyDictionary[Servable, dict[str, dict[str, int]]] = WeakKeyDictionary()
        self._posts = {
            "predict": self._predict,
            "classify": self._classify,
            "regress": self._regress,
        }

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        status, body, headers = await self._answered(scope, receive)
        headers = [*headers, (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answered(
        self, scope: _Scope, receive: _Receive
    ) -> tuple[int, bytes, list[tuple[bytes, bytes]]]:
        method = scope["method"]
        path = scope["raw_path"]
        if self._metrics is not None and path == self._metrics_path and method == "GET":
            return 200, self._metrics.text(), [(b"content-type", CONTENT_TYPE)]
        if scope["query_string"]:
            # TF Serving matches its routes against the whole.
            path += b"?" + scope["query_string"]
        try:
            found = route(method, path)
            if found is None:
                return 404, _error(f"Not Found: {method} {path.decode('latin-1')}"), [_JSON]
            if found.verb in self._posts:
                return 200, await self._post(found, scope, receive), [_JSON]
            return 200, await self._get(found), [_JSON]
        except BadBody as error:
            return error.http_status, _error(error.message), [_JSON, (b"connection", b"close")]
        except ServingError as error:
            return error.http_status, _error(error.message), [_JSON]
        except Exception:
            _LOG.exception("%s %s", method, path)
            return 500, _error("internal error; the server's log has more"), [_JSON]

    async def _post(self, found: Route, scope: _Scope, receive: _Receive) -> bytes:
        started = time.perf_counter()
        status = "INTERNAL"
        try:
            with self._admission.request() as admitted, Deadline(self._timeout) as deadline:
                body = await read_body(scope, receive, self._max_body, self._decoder, admitted.add)
                deadline.body_is_read()
                answer = await self._posts[found.verb](found, body)
            status = "OK"
            return answer
        except ServingError as error:
            status = error.code.name
            raise
        finally:
            if self._metrics is not None:
                seconds = time.perf_counter() - started
                self._metrics.request(found.wanted.name, found.verb, "REST", status, seconds)

    async def _predict(self, found: Route, body: bytes) -> bytes:
        decode, size = self._decoder.run, len(body)
        request = await decode(size, rest_json.parse_predict, body)
        with self._manager.lease(found.wanted) as servable:
            name = request.signature or answers.DEFAULT_SIGNATURE
            dtypes = self._input_dtypes(servable, name)
            arrays = await decode(size, rest_json.to_arrays, request, dtypes)
            is_row = request.is_row
            # Thousands of numbers: they are freed fastest now, before others come between.
            del request, body
            outputs = await servable.run(name, arrays)
            return rest_answers.predict_answer(outputs, is_row)

    async def _classify(self, found: Route, body: bytes) -> bytes:
        classes = await self._inferred(examples.classify, found, body)
        return rest_answers.classify_answer(*classes)

    async def _regress(self, found: Route, body: bytes) -> bytes:
        return rest_answers.regress_answer(await self._inferred(examples.regress, found, body))

    async def _inferred(
        self, infer: Callable[..., Awaitable[Any]], found: Route, body: bytes
    ) -> Any:
        """Returns what a signature says of the examples that a body holds."""
        name, serialized = await self._decoder.run(len(body), _examples, body)
        with self._manager.lease(found.wanted) as servable:
            answer = await infer(servable, name, serialized)
            self._count_examples(servable, len(serialized))
            return answer

    async def _get(self, found: Route) -> bytes:
        if found.verb == "metadata":
            with self._manager.lease(found.wanted) as servable:
                return orjson.dumps(answers.metadata_json(servable))
        statuses = await self._peers.statuses(found.wanted)
        return orjson.dumps(answers.status_json(statuses))

    def _count_examples(self, servable: Servable, count: int) -> None:
        if self._metrics is not None:
            self._metrics.examples(servable.name, count)

    def _input_dtypes(self, servable: Servable, signature: str) -> dict[str, int]:
        """Returns the DataType of each of a signature's inputs."""
        by_signature = self._dtypes.get(servable)
        if by_signature is None:
            by_signature = {
                name: {alias: info.dtype for alias, info in definition.inputs.items()}
                for name, definition in servable.signatures.items()
            }
            self._dtypes[servable] = by_signature
        dtypes = by_signature.get(signature)
        if dtypes is None:
            raise invalid_argument(
                f'Serving signature name: "{signature}" not found in signature def'
            )
        if not dtypes:
            raise invalid_argument(f"Failed to get input map for signature: {signature}")
        return dtypes


def _examples(body: bytes) -> tuple[str, Any]:
    """Returns the signature that a classify or regress request names, and its examples."""
    document = json_text.parse(body)
    name = rest_json.signature_name(document) or answers.DEFAULT_SIGNATURE
    return name, examples.examples_from_json(document)


def _error(message: str) -> bytes:
    # A path may hold any byte, and an alias come from anywhere: what is no text is replaced.
    return orjson.dumps({"error": message.encode(errors="replace").decode()})
