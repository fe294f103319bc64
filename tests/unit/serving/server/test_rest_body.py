import asyncio
import gzip
import zlib

import pytest
from grpc import StatusCode

from serving.server.decoding import LARGE_BYTES, Decoder
from serving.server.errors import ServingError
from serving.server.rest_body import BadBody, Deadline, read_body


def parts(*chunks, ends="http.request"):
    """Returns a `receive` that gives the chunks, and the number of those that were taken."""
    left = list(chunks)
    taken = []

    async def receive():
        taken.append(len(taken))
        if left:
            body = left.pop(0)
            return {
                "type": "http.request",
                "body": body,
                "more_body": bool(left) or ends != "http.request",
            }
        return {"type": ends}

    return receive, taken


def read(receive, limit=100, take=lambda size: None, **headers):
    named = [(name.replace("_", "-").encode(), value) for name, value in headers.items()]
    return asyncio.run(read_body({"headers": named}, receive, limit, Decoder(), take))


def refusal(receive, limit=100, **headers):
    with pytest.raises(BadBody) as caught:
        read(receive, limit, **headers)
    return caught.value.http_status


def test_a_body_when_in_one_or_many_parts_then_is_whole():
    assert read(parts(b"abc")[0]) == b"abc"
    assert read(parts(b"a", b"b", b"c")[0]) == b"abc"


def test_a_body_when_it_comes_in_parts_then_each_is_told_of_before_the_next_is_read():
    told = []

    def take(size):
        told.append(size)
        if sum(told) > 5:
            raise ServingError(StatusCode.UNAVAILABLE, "full")

    receive, taken = parts(b"ab", b"cde", b"f", b"g")
    with pytest.raises(ServingError, match="full"):
        read(receive, take=take, content_length=b"90")
    assert told == [2, 3, 1]
    assert len(taken) == 3


def test_a_body_when_announced_too_large_then_is_read_away_and_kept_nowhere():
    receive, taken = parts(*[b"x" * 50] * 3)
    assert refusal(receive, content_length=b"150") == 413
    assert len(taken) == 3


def test_a_body_when_far_too_large_then_is_not_read_to_its_end():
    receive, taken = parts(*[b"x" * 50] * 1000)
    assert refusal(receive, content_length=b"50000") == 413
    assert len(taken) < 10


def test_a_client_when_it_waits_for_the_word_then_sends_nothing():
    receive, taken = parts(b"x" * 150)
    assert refusal(receive, content_length=b"150", expect=b"100-continue") == 413
    assert not taken


def test_a_body_when_it_only_turns_out_too_large_then_is_refused():
    assert refusal(parts(*[b"x" * 50] * 3)[0]) == 413


def test_a_client_when_it_leaves_then_there_is_no_body():
    assert refusal(parts(b"a", ends="http.disconnect")[0]) == 400


@pytest.mark.parametrize(
    "size", [3, LARGE_BYTES - 1, LARGE_BYTES, LARGE_BYTES + 1, 4 * LARGE_BYTES, 4 * LARGE_BYTES + 1]
)
def test_gzip_when_sent_then_is_unpacked_up_to_the_limit(size):
    receive = parts(gzip.compress(b"a" * size))[0]
    if size <= 4 * LARGE_BYTES:
        found = read(receive, 4 * LARGE_BYTES, content_encoding=b"gzip")
        assert found == b"a" * size
    else:
        assert refusal(receive, 4 * LARGE_BYTES, content_encoding=b"gzip") == 413


@pytest.mark.parametrize(
    ("body", "encoding", "status"),
    [
        (b"no gzip", b"gzip", 400),
        (gzip.compress(b"abc")[:-4], b"gzip", 400),
        (gzip.compress(b"abc") + b"more", b"gzip", 400),
        (gzip.compress(b"a" * 1_000_000), b"gzip", 413),
        (zlib.compress(b"abc"), b"deflate", 415),
        (b"abc", b"br", 415),
    ],
    ids=["none", "cut", "more", "bomb", "deflate", "br"],
)
def test_an_encoding_when_broken_or_too_large_or_another_then_is_refused(body, encoding, status):
    assert refusal(parts(body)[0], 5000, content_encoding=encoding) == status


def outcome(seconds, work, body_is_read):
    async def run():
        with Deadline(seconds) as deadline:
            if body_is_read:
                deadline.body_is_read()
            await work()

    with pytest.raises(ServingError) as caught:
        asyncio.run(run())
    return caught.value.http_status


def test_time_when_over_then_the_body_or_the_answer_was_late():
    async def forever():
        await asyncio.Event().wait()

    assert outcome(0.01, forever, body_is_read=False) == 408
    assert outcome(0.01, forever, body_is_read=True) == 504


def test_work_when_cancelled_by_others_then_is_cancelled():
    async def run():
        async def work():
            with Deadline(60):
                await asyncio.Event().wait()

        task = asyncio.create_task(work())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
