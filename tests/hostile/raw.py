"""Speak HTTP badly: bytes as they are on one connection, and what comes back, answer by answer."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from select import select
from typing import Self

PATIENCE_SECONDS = 20.0


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


class Wire:
    """One connection. It reads answers that carry their length, or that end with the connection."""

    def __init__(self, port: int, *, receive_buffer: int | None = None) -> None:
        self._socket = socket.socket()
        if receive_buffer is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._socket.settimeout(PATIENCE_SECONDS)
        self._socket.connect(("127.0.0.1", port))
        self._received = b""

    def send(self, data: bytes) -> Self:
        """As much of it as the other side takes: it may have answered and gone already."""
        with suppress(ConnectionError):
            self._socket.sendall(data)
        return self

    def answer(self, *, has_body: bool = True) -> Answer | None:
        """The next one; None when the other side has closed instead."""
        while b"\r\n\r\n" not in self._received:
            if not self._receive():
                assert not self._received, self._received
                return None
        head, _, self._received = self._received.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        version, status, _ = first.split(" ", 2)
        assert version == "HTTP/1.1"
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        size = int(headers.get("content-length", 0)) if has_body else 0
        while len(self._received) < size:
            assert self._receive()
        body, self._received = self._received[:size], self._received[size:]
        return Answer(int(status), headers, body)

    def drip(self, piece: bytes) -> Self:
        """Send it again and again, until something comes back."""
        while not select([self._socket], [], [], 0.05)[0]:
            self.send(piece)
        return self

    def _receive(self) -> bool:
        try:
            data = self._socket.recv(65536)
        except ConnectionError:
            return False
        self._received += data
        return bool(data)

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def wires(port: int, count: int) -> Iterator[list[Wire]]:
    opened = [Wire(port) for _ in range(count)]
    try:
        yield opened
    finally:
        for wire in opened:
            wire.close()


def post(path: str, key: str, body: bytes, *lines: bytes, length: int | None = None) -> bytes:
    """A whole request with a right length (None) or another."""
    said = (b"Content-Length: %d" % (len(body) if length is None else length),)
    return head("POST", path, f"Authorization: Bearer {key}".encode(), *said, *lines) + body


def head(method: str, path: str, *lines: bytes, version: str = "HTTP/1.1") -> bytes:
    first = f"{method} {path} {version}".encode()
    return b"".join(line + b"\r\n" for line in (first, b"Host: assay", b"Content-Type: application/json", *lines, b""))


def chunked(*chunks: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + end
