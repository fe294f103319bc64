"""Hostile requests, as hypothesis strategies: what no client sends by mistake, and what some do.

Each is a `Hostile`: bytes for the REST port, or a call on the gRPC port, and which answers are
right. Where a request that was spoilt at random can by chance still be good, it `may_succeed`.
"""

from __future__ import annotations

import json
import string
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from tensorflow_serving.apis import classification_pb2, predict_pb2

from tests.contract.clients import example, example_list, model_spec, predict_request
from tests.contract.models import floats

HOST = "Host: 127.0.0.1\r\n"
CHUNKED = "Transfer-Encoding: chunked"
PREDICT = "/v1/models/half_plus_two:predict"
GOOD_BODY = b'{"instances": [1.0, 2.0]}'
GOOD_HTTP = (
    f"POST {PREDICT} HTTP/1.1\r\n{HOST}Content-Type: application/json\r\n"
    f"Content-Length: {len(GOOD_BODY)}\r\n\r\n"
).encode() + GOOD_BODY
SERVICES = "/tensorflow.serving."
METHODS = [
    *(f"PredictionService/{name}" for name in ("Predict", "Classify", "Regress")),
    *(f"PredictionService/{name}" for name in ("MultiInference", "GetModelMetadata")),
    *(f"ModelService/{name}" for name in ("GetModelStatus", "HandleReloadConfigRequest")),
]


@dataclass(frozen=True)
class Hostile:
    """A hostile request.

    Attributes:
        kind: what is wrong with it.
        data: bytes for a REST connection, or the message of a gRPC call.
        method: of the gRPC call; None for REST.
        may_succeed: it can by chance be a good request.
        is_http: it is good HTTP, so that there must be an answer, and not only an end.
    """

    kind: str
    data: bytes
    method: str | None = None
    may_succeed: bool = False
    is_http: bool = False

    def __repr__(self) -> str:
        data = repr(self.data)
        short = data if len(data) < 600 else f"{data[:400]}... {len(self.data)} bytes"
        return f"Hostile({self.kind}, {self.method or 'REST'}, {short})"


def http(method: str, path: str, body: bytes = b"") -> bytes:
    """Returns a request that is good HTTP, after which the server is to close the connection."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Connection: close"]
    head = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""])
    return head.encode() + body


def posted(kind: str, body: bytes, verb: str = "predict", may_succeed: bool = False) -> Hostile:
    path = f"/v1/models/half_plus_two:{verb}"
    return Hostile(kind, http("POST", path, body), may_succeed=may_succeed, is_http=True)


def dumped(value: Any) -> bytes:
    return json.dumps(value).encode()


_names = st.text(max_size=6).map("_{}".format)

# What no tensor of numbers is made of; an empty list is one, of no rows.
_not_numbers = st.recursive(
    st.none() | st.booleans() | st.text(max_size=8) | st.just({"b64": "AAAA"}),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_names, inner, max_size=3),
    max_leaves=12,
).filter(lambda value: value != [])
_numbers = st.floats(width=32, allow_nan=False, allow_infinity=False) | st.integers(-9, 9)
_too_deep = st.recursive(
    st.lists(_numbers, max_size=3), lambda inner: st.lists(inner, max_size=3), max_leaves=10
).map(lambda value: [value, *([] if value else [[1.0]])])
_verbs = st.sampled_from(["predict", "classify", "regress"])
_keys = st.sampled_from(["instances", "inputs"])

_is_no_json = st.one_of(st.binary(max_size=200), st.text(max_size=100).map(str.encode))
_odd_tokens = st.sampled_from(
    [
        *(b"1e400", b"1e39", b"-1e39", b"9" * 400, b"0x10", b"1.", b".5", b"+1", b"01", b"nan"),
        *(b"--1", b"inf", b"'1'", b"1,", b"1 2", b"\xff", b"1//", b"\x00"),
        *(b'"\\ud800"', b'"\xc3\x28"'),
    ]
)

bodies = st.one_of(
    st.builds(posted, st.just("body that is no JSON"), _is_no_json, _verbs),
    st.builds(
        lambda key, value: posted("values of wrong types", dumped({key: value})),
        _keys,
        _not_numbers,
    ),
    st.builds(
        lambda value: posted("rank that does not fit", dumped({"instances": value})), _too_deep
    ),
    st.builds(
        lambda key, token: posted("number that is none", b'{"%s": [%s]}' % (key.encode(), token)),
        _keys,
        _odd_tokens,
    ),
    st.builds(
        lambda name, value: posted(
            "row with an unknown field", dumped({"instances": [{"x": 1.0, f"_{name}": value}]})
        ),
        st.text(max_size=20),
        _not_numbers,
    ),
    st.builds(
        lambda name, value: posted(
            "unknown field", dumped({f"_{name}": value, "instances": [1.0]}), may_succeed=True
        ),
        st.text(max_size=20),
        _not_numbers,
    ),
    st.builds(
        lambda value: posted("signature that is none", dumped({"signature_name": value})),
        _not_numbers,
    ),
    st.builds(
        lambda name: posted(
            "signature that is not there",
            dumped({"signature_name": f"_{name}", "instances": [1.0]}),
        ),
        st.text(max_size=40),
    ),
    st.builds(
        lambda verb, value: posted(
            "examples of wrong types",
            dumped({"signature_name": f"{verb}_x_to_y", "examples": value}),
            verb,
        ),
        st.sampled_from(["classify", "regress"]),
        _not_numbers,
    ),
    st.builds(
        lambda depth, mark, key: posted(
            "deep nesting", b'{"%s": %s1%s}' % (key.encode(), mark[0] * depth, mark[1] * depth)
        ),
        st.integers(2, 100_000),
        st.sampled_from([(b"[", b"]"), (b'{"a":', b"}"), (b"[", b"")]),
        _keys,
    ),
    st.builds(
        lambda length, cut: posted(
            "body that is cut off", dumped({"instances": [1.0] * length})[: -1 - cut]
        ),
        st.integers(1, 50),
        st.integers(0, 10),
    ),
)

_pieces = st.one_of(
    st.sampled_from(
        [
            *("..", ".", "", "%2e%2e", "%00", "%2f", "%5c", "\\", "%c0%ae", "%ff", "%", "%zz", "*"),
            *("v1", "models", "metadata", "versions", "labels", "etc", "passwd", "1", "-1", "~"),
            *("half_plus_two:", ":predict", "half_plus_two:predict:predict", "a" * 3000, "9" * 30),
        ]
    ),
    st.text(string.ascii_letters + string.digits + "%:;?#&=@!$'()+,-._~[]{}|^`<>\"", max_size=12),
)
_methods = st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "HEAD"])
_methods_more = _methods | st.text(string.ascii_uppercase, min_size=1, max_size=12)


def _tricky(method: str, pieces: list[str], where: str) -> Hostile:
    path = {
        "root": "/",
        "v1": "/v1/",
        "models": "/v1/models/nope/",
        "model": "/v1/models/half_plus_two/..",
    }[where] + "/".join(pieces)
    return Hostile("path", http(method, path, b"" if method == "GET" else GOOD_BODY), is_http=True)


paths = st.builds(
    _tricky,
    _methods_more,
    st.lists(_pieces, min_size=1, max_size=6),
    st.sampled_from(["root", "v1", "models", "model"]),
)

_headers = st.sampled_from(
    [
        "Content-Length: 5\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 99999999999999999999\r\n",
        "Content-Length: 0x19\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: nonsense\r\n",
        "Content-Encoding: gzip\r\n",
        "Connection: Upgrade\r\nUpgrade: h2c\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
        "Expect: 100-continue\r\n",
        "Expect: nonsense\r\n",
        "Host: other\r\n",
        "X: a\0b\r\n",
        "X\0: a\r\n",
        " folded: a\r\n",
        "no colon\r\n",
        ": no name\r\n",
        "X: a\rb\r\n",
        f"X: {'a' * 20_000}\r\n",
        "X: a\r\n" * 500,
    ]
)
_chunks = st.sampled_from(
    [
        b"5\r\nhello\r\n0\r\n\r\n",
        b"zz\r\nhello\r\n0\r\n\r\n",
        b"-5\r\nhello\r\n0\r\n\r\n",
        b"ffffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        b"5\r\nhel",
        b"5;" + b"a" * 5000 + b"\r\nhello\r\n0\r\n\r\n",
        b"0\r\n\r\nGET /v1/models/nope HTTP/1.1\r\n\r\n",
        b"5\nhello\n0\n\n",
        b"\r\n\r\n",
    ]
)


@st.composite
def mutated(draw: st.DrawFn, good: bytes = GOOD_HTTP) -> bytes:
    """Good bytes in which a few were changed, taken out or put in."""
    data = bytearray(good)
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        how = draw(st.sampled_from(["change", "take", "put", "cut", "twice"]))
        if how == "change" and data:
            data[at] = draw(st.integers(0, 255))
        elif how == "take":
            del data[at : at + draw(st.integers(1, 8))]
        elif how == "put":
            data[at:at] = draw(st.binary(min_size=1, max_size=8))
        elif how == "cut":
            del data[at:]
        else:
            data[at:at] = data[: draw(st.integers(0, len(data)))]
    return bytes(data)


connections = st.one_of(
    st.builds(Hostile, st.just("bytes that are no HTTP"), st.binary(min_size=1, max_size=400)),
    st.builds(
        lambda data: Hostile("spoilt HTTP", data, may_succeed=True),
        mutated(),
    ),
    st.builds(
        lambda headers: Hostile(
            "headers",
            f"POST {PREDICT} HTTP/1.1\r\n{HOST}{''.join(headers)}\r\n".encode() + GOOD_BODY,
            may_succeed=True,
        ),
        st.lists(_headers, min_size=1, max_size=4),
    ),
    st.builds(
        lambda chunks: Hostile(
            "chunks",
            f"POST {PREDICT} HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n".encode()
            + b"".join(chunks),
        ),
        st.lists(_chunks, min_size=1, max_size=3),
    ),
    st.builds(
        lambda count, rest: Hostile("pipeline", GOOD_HTTP * count + rest, may_succeed=True),
        st.integers(1, 12),
        mutated(),
    ),
    st.builds(
        lambda line: Hostile("request line", line + b"\r\n" + HOST.encode() + b"\r\n"),
        st.sampled_from(
            [
                b"GET",
                b"GET /",
                b"GET / HTTP/9.9",
                b"GET / HTTP/2.0",
                b"PRI * HTTP/2.0",
                b"GET  /  HTTP/1.1",
                b"GET http://[::1/v1/models HTTP/1.1",
                b"CONNECT example.org:443 HTTP/1.1",
                b"GET /" + b"a" * 70_000 + b" HTTP/1.1",
                b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            ]
        ),
    ),
)

_good_predict = predict_request("half_plus_two", {"x": floats(1.0, 2.0)}, version=2)
_good_classify = classification_pb2.ClassificationRequest(
    model_spec=model_spec("half_plus_two", "classify_x_to_y"), input=example_list(example(x=1.0))
)


def _tensor(alias: str, dtype: int, sizes: list[int], content: bytes, values: int) -> Hostile:
    request = predict_pb2.PredictRequest(model_spec=model_spec("half_plus_two"))
    tensor = request.inputs[alias]
    tensor.dtype = dtype
    for size in sizes:
        tensor.tensor_shape.dim.add(size=size)
    tensor.tensor_content = content
    tensor.float_val.extend([1.0] * values)
    may_succeed = alias == "x" and dtype == 1 and len(sizes) == 1
    return Hostile("tensor", request.SerializeToString(), "PredictionService/Predict", may_succeed)


_sizes = st.sampled_from([0, 1, 2, 3, -1, 2**31, 2**40, 2**62, -(2**63), 2**63 - 1])

calls = st.one_of(
    st.builds(
        lambda method, data: Hostile("bytes that are no message", data, method, may_succeed=False),
        st.sampled_from(METHODS),
        st.binary(min_size=1, max_size=200),
    ),
    st.builds(
        lambda length: Hostile(
            "message that is cut off",
            _good_predict.SerializeToString()[: -1 - length],
            "PredictionService/Predict",
        ),
        st.integers(0, len(_good_predict.SerializeToString()) - 2),
    ),
    st.builds(
        lambda data: Hostile("spoilt message", data, "PredictionService/Predict", True),
        mutated(_good_predict.SerializeToString()),
    ),
    st.builds(
        lambda data, method: Hostile("spoilt message", data, method, True),
        mutated(_good_classify.SerializeToString()),
        st.sampled_from(METHODS[:6]),
    ),
    st.builds(
        _tensor,
        st.sampled_from(["x", "y", "", "x\0"]),
        st.integers(0, 30) | st.sampled_from([101, 2**31 - 1]),
        st.lists(_sizes, max_size=4),
        st.binary(max_size=16),
        st.integers(0, 4),
    ),
    st.builds(
        lambda method, data: Hostile("method that is not there", data, method),
        st.text(string.ascii_letters + "./%", min_size=1, max_size=30).map(
            lambda name: f"PredictionService/_{name}"
        ),
        st.binary(max_size=20),
    ),
    st.builds(
        lambda size: Hostile(
            "rank",
            predict_request("half_plus_two", {"x": np.zeros(size, np.float32)}).SerializeToString(),
            "PredictionService/Predict",
        ),
        st.lists(st.integers(0, 3), min_size=2, max_size=5) | st.just([]),
    ),
)

requests = st.one_of(bodies, paths, connections, calls)
