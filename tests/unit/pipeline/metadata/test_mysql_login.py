"""A login at MySQL, held against what the protocol has a server do."""

from __future__ import annotations

import contextlib
import hashlib
import queue
import ssl
import struct

import pytest
import trustme

from pipeline.metadata import mysql_login
from pipeline.metadata.mysql_login import Refusal, login

PASSWORD = "it's héré"
NONCE = bytes(range(1, 21))
GREETING = (
    b"\x0a10.11.19-MariaDB\0" + struct.pack("<I", 7) + NONCE[:8] + b"\0" + struct.pack("<H", 0xF7FE)
    + b"\x2d\x02\x00" + struct.pack("<H", 0x81FF) + b"\x15" + bytes(10) + NONCE[8:] + b"\0"
    + b"mysql_native_password\0"
)  # fmt: skip
OK = b"\x00\x00\x00\x02\x00\x00\x00"


def send(connection, sequence, payload) -> None:
    connection.sendall(len(payload).to_bytes(3, "little") + bytes([sequence]) + payload)


def receive(connection) -> bytes:
    head = connection.recv(4, 0x100)  # MSG_WAITALL
    return connection.recv(int.from_bytes(head[:3], "little"), 0x100)


def is_right(answer: bytes, nonce: bytes) -> bool:
    """Whether a server, which keeps SHA1(SHA1(password)), lets this in."""
    kept = hashlib.sha1(hashlib.sha1(PASSWORD.encode()).digest()).digest()
    mask = hashlib.sha1(nonce + kept).digest()
    once = bytes(a ^ b for a, b in zip(answer, mask, strict=True))
    return hashlib.sha1(once).digest() == kept


def error(code: int, text: str) -> bytes:
    return b"\xff" + struct.pack("<H", code) + b"#28000" + text.encode()


def test_login_when_the_password_is_right_then_is_let_in_and_leaves(section, serve_once) -> None:
    seen: queue.Queue[bytes] = queue.Queue()

    def converse(connection) -> None:
        send(connection, 0, GREETING)
        seen.put(receive(connection))
        send(connection, 2, OK)
        seen.put(receive(connection))

    assert login(section("mysql", port=serve_once(converse)), PASSWORD) is None
    reply, goodbye = seen.get(timeout=10), seen.get(timeout=10)
    user, _, rest = reply[32:].partition(b"\0")
    assert user == b"ann"
    assert is_right(rest[1 : 1 + rest[0]], NONCE)
    assert rest[1 + rest[0] :].split(b"\0")[:2] == [b"lineage", b"mysql_native_password"]
    assert goodbye == b"\x01"


def test_login_when_the_server_asks_again_then_answers_the_other_nonce(section, serve_once) -> None:
    other, seen = NONCE[::-1], []

    def converse(connection) -> None:
        send(connection, 0, GREETING)
        receive(connection)
        send(connection, 2, b"\xfemysql_native_password\0" + other + b"\0")
        seen.append(receive(connection))
        send(connection, 4, OK)
        receive(connection)

    assert login(section("mysql", port=serve_once(converse)), PASSWORD) is None
    assert is_right(seen[0], other)


@pytest.mark.parametrize(
    ("first", "second", "refusal"),
    [
        (error(1040, "Too many connections"), None, Refusal(1040, "Too many connections")),
        (GREETING, error(1045, "Access denied"), Refusal(1045, "Access denied")),
        (b"\xff\x69\x04Host is blocked", None, Refusal(1129, "Host is blocked")),
        (b"\x09old", None, Refusal(0, "what answers there does not speak MySQL")),
        (b"\x0a", None, Refusal(0, "what answers there does not speak MySQL")),
    ],
)
def test_login_when_refused_then_the_server_s_words_are_told(
    section, serve_once, first, second, refusal
) -> None:
    def converse(connection) -> None:
        send(connection, 0, first)
        if second is not None:
            receive(connection)
            send(connection, 2, second)

    assert login(section("mysql", port=serve_once(converse)), PASSWORD) == refusal


def test_login_when_the_account_has_another_plugin_then_says_which(section, serve_once) -> None:
    def converse(connection) -> None:
        send(connection, 0, GREETING)
        receive(connection)
        send(connection, 2, b"\xfecaching_sha2_password\0" + NONCE + b"\0")

    found = login(section("mysql", port=serve_once(converse)), PASSWORD)
    assert found is not None
    assert "logs in by caching_sha2_password, not by mysql_native_password" in found.text


def test_login_when_tls_is_wanted_and_not_offered_then_sends_nothing(
    section, serve_once, tmp_path
) -> None:
    import certifi

    seen: queue.Queue[bytes] = queue.Queue()

    def converse(connection) -> None:
        plain = struct.pack("<H", 0xF7FE & ~0x800)
        send(connection, 0, GREETING.replace(struct.pack("<H", 0xF7FE), plain))
        seen.put(connection.recv(1))

    port = serve_once(converse)
    found = login(section("mysql", port=port, tls={"ca": certifi.where()}), PASSWORD)
    assert found == Refusal(0, "TLS: the server offers none")
    missing = login(section("mysql", tls={"ca": str(tmp_path / "ca.pem")}), PASSWORD)
    assert missing is not None
    assert "No such file" in missing.text
    assert seen.get(timeout=10) == b""


def test_login_when_by_tls_then_the_certificate_has_to_name_the_host_as_it_is_configured(
    section, serve_once, tmp_path
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    greeting = GREETING.replace(struct.pack("<H", 0xF7FE), struct.pack("<H", 0xFFFE))

    def converse(connection) -> None:
        send(connection, 0, greeting)
        receive(connection)
        with contextlib.suppress(OSError), context.wrap_socket(connection, True) as encrypted:
            encrypted.recv(2**10)
            send(encrypted, 3, OK)
            encrypted.recv(2**10)

    def refusal(host: str) -> Refusal | None:
        tls = {"ca": str(tmp_path / "ca.pem")}
        return login(section("mysql", host=host, port=serve_once(converse), tls=tls), PASSWORD)

    assert refusal("localhost") is None
    refused = refusal("127.0.0.1")
    assert refused is not None
    assert "IP address mismatch" in refused.text


def test_login_when_the_server_is_silent_then_gives_up(section, serve_once, monkeypatch) -> None:
    monkeypatch.setattr(mysql_login, "_TIMEOUT", 0.1)
    found = login(
        section("mysql", port=serve_once(lambda connection: connection.recv(1))), PASSWORD
    )
    assert found == Refusal(0, "timed out", is_silent=True)


def test_login_when_nobody_listens_or_hangs_up_then_is_silent(
    section, serve_once, closed_port
) -> None:
    assert login(section("mysql", port=closed_port), PASSWORD) == Refusal(
        0, "Connection refused", is_silent=True
    )
    assert login(section("mysql", port=serve_once(lambda _: None)), PASSWORD) == Refusal(
        0, "the server closed the connection", is_silent=True
    )
