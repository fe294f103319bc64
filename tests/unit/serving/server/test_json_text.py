import math
import tracemalloc

import pytest

from serving.server.errors import ServingError
from serving.server.json_text import parse, shown


@pytest.mark.parametrize(
    "text",
    ["Inf", '\\" Inf', "\\\\", 'a\\\\\\" Inf \\"', "Infinity", "\\u0022 Inf", "\u00e9 Inf"],
)
def test_a_string_when_beside_infinity_then_stays_as_it_is(text):
    document = parse(f'{{"{text}": "{text}", "x": [Inf, -Inf], "y": "{text}"}}'.encode())
    said = parse(f'{{"text": "{text}"}}'.encode())["text"]
    assert document == {said: said, "x": [math.inf, -math.inf], "y": said}


@pytest.mark.parametrize("text", [b"a", b'\\"', b"\\\\"], ids=["letters", "quotes", "slashes"])
def test_a_string_when_long_and_before_infinity_then_takes_little_memory(text):
    body = b'{"a": "' + text * (1_000_000 // len(text)) + b'", "x": Inf}'
    tracemalloc.start()
    try:
        assert parse(body)["x"] == math.inf
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 20 * len(body)


@pytest.mark.parametrize(
    "body",
    [b"Inf" + b'\\"' * 50_000, b'\\"' * 50_000 + b"Inf", b'{"a": Inf, "b": "' + b"\\" * 99_999],
    ids=["after", "before", "slashes"],
)
def test_a_string_when_it_has_no_end_then_is_refused(body):
    with pytest.raises(ServingError, match="JSON Parse error"):
        parse(body)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"a": [1, None, True], "b": {}}, '{"a": [1, null, true], "b": {}}'),
        (["\u00e9", -1.5, math.inf], '["\\u00e9", -1.5, Infinity]'),
        ([[1] * 3] * 2, "[[1, 1, 1], [1, 1, 1]]"),
        ("a" * 198, '"' + "a" * 198 + '"'),
        ("a" * 199, '"' + "a" * 196 + "..."),
    ],
)
def test_a_value_when_shown_then_is_its_json_up_to_a_limit(value, expected):
    assert shown(value) == expected


def test_a_value_when_large_then_only_its_start_is_written():
    deep = 1
    for _ in range(100_000):
        deep = [deep]
    assert shown(deep) == "[" * 197 + "..."
    wide = {"a" * 10_000_000: "b" * 10_000_000, "c": list(range(1_000_000))}
    tracemalloc.start()
    try:
        assert len(shown(wide)) == len(shown(list(wide.values()))) == 200
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 100_000
