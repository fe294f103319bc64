"""Logs in to MySQL or MariaDB and leaves again, to know whether and why not it would let one in.

ML Metadata's client tells no reason, waits without end for a server that does not answer, and with
TLS encrypts without seeing whose certificate it is, or whether there is one.
Protocol: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase.html
"""

from __future__ import annotations

import hashlib
import socket
import ssl
import struct
from dataclasses import dataclass
from pathlib import Path

from pipeline.metadata.config import MysqlConfig, TlsConfig
from pipeline.metadata.connection import address_of

_TIMEOUT = 10.0
_NATIVE = "mysql_native_password"
_WITH_DATABASE, _TLS = 0x8, 0x800
# Long passwords, protocol 4.1, its passwords of 20 bytes, and plugins.
_CAPABILITIES = 0x1 | 0x200 | 0x8000 | 0x80000
_UTF8 = 45
_OK, _SWITCH, _ERROR, _QUIT = 0x00, 0xFE, 0xFF, b"\x01"


@dataclass(frozen=True)
class Refusal:
    """Why the server lets nobody in; `code` is its own, and 0 where it is not the server's word."""

    code: int
    text: str
    is_silent: bool = False


def login(mysql: MysqlConfig, password: str) -> Refusal | None:
    """Returns why the user does not get to the database; None if it does."""
    try:
        context = _context(mysql.tls) if mysql.tls else None
    except OSError as error:
        return Refusal(0, f"TLS: metadata.tls: {error.strerror or error}")
    try:
        with socket.create_connection((address_of(mysql), mysql.port), _TIMEOUT) as plain:
            return _Conversation(plain).log_in(mysql, password, context)
    except ssl.SSLError as error:
        return Refusal(0, f"TLS: {getattr(error, 'verify_message', None) or error.reason or error}")
    except (OSError, EOFError) as error:
        return Refusal(0, str(getattr(error, "strerror", None) or error), is_silent=True)
    except (struct.error, IndexError, ValueError):
        return Refusal(0, "what answers there does not speak MySQL")


class _Conversation:
    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._sequence = 0

    def log_in(
        self, mysql: MysqlConfig, password: str, context: ssl.SSLContext | None
    ) -> Refusal | None:
        greeting = self._receive()
        if greeting[0] == _ERROR:
            return _refusal(greeting)
        nonce, offered = _read_greeting(greeting)
        capabilities = _CAPABILITIES | _WITH_DATABASE | (_TLS if context else 0)
        head = struct.pack("<IIB23x", capabilities, 2**24 - 1, _UTF8)
        if context is not None:
            if not offered & _TLS:
                return Refusal(0, "TLS: the server offers none")
            self._send(head)
            self._connection = context.wrap_socket(self._connection, server_hostname=mysql.host)
        answer = _scrambled(password, nonce)
        names = [text.encode() + b"\0" for text in (mysql.user, mysql.database, _NATIVE)]
        self._send(head + names[0] + bytes([len(answer)]) + answer + names[1] + names[2])
        found = self._receive()
        if found[0] == _SWITCH:
            plugin, _, data = found[1:].partition(b"\0")
            if plugin.decode() != _NATIVE:
                return Refusal(
                    0, f"the account logs in by {plugin.decode()}, not by {_NATIVE}, which is all "
                    "that ML Metadata's client can"
                )  # fmt: skip
            self._send(_scrambled(password, data[:20]))
            found = self._receive()
        if found[0] == _ERROR:
            return _refusal(found)
        self._sequence = 0
        self._send(_QUIT)
        return None

    def _receive(self) -> bytes:
        head = self._exactly(4)
        self._sequence = head[3] + 1
        return self._exactly(int.from_bytes(head[:3], "little"))

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            part = self._connection.recv(count - len(data))
            if not part:
                raise EOFError("the server closed the connection")
            data += part
        return data

    def _send(self, payload: bytes) -> None:
        head = len(payload).to_bytes(3, "little") + bytes([self._sequence])
        self._sequence += 1
        self._connection.sendall(head + payload)


def _context(tls: TlsConfig) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(Path(tls.ca).expanduser()))
    if tls.cert and tls.key:
        certificate, key = (str(Path(path).expanduser()) for path in (tls.cert, tls.key))
        context.load_cert_chain(certificate, key)
    return context


def _read_greeting(greeting: bytes) -> tuple[bytes, int]:
    """Returns the nonce, 20 bytes, and the low half of what the server is capable of."""
    if greeting[0] != 10:
        raise ValueError("a protocol of another version")
    rest = greeting[greeting.index(b"\0", 1) + 1 :]
    (capabilities,) = struct.unpack_from("<H", rest, 13)
    return rest[4:12] + rest[31:43], capabilities


def _scrambled(password: str, nonce: bytes) -> bytes:
    """Returns SHA1(password) XOR SHA1(nonce + SHA1(SHA1(password)))."""
    once = hashlib.sha1(password.encode()).digest()  # noqa: S324  the protocol's
    twice = hashlib.sha1(once).digest()  # noqa: S324
    mask = hashlib.sha1(nonce + twice).digest()  # noqa: S324
    return bytes(a ^ b for a, b in zip(once, mask, strict=True))


def _refusal(packet: bytes) -> Refusal:
    (code,) = struct.unpack_from("<H", packet, 1)
    text = packet[3:]
    return Refusal(code, (text[6:] if text[:1] == b"#" else text).decode(errors="replace"))
