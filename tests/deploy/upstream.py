"""An upstream that notes what it is sent, and answers it or hangs up."""

import socket
import socketserver
import threading
from typing import Self

HEALTHY = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Upstream:
    """Well as far as `/readyz` can tell. `answer` is what it says to all else; None is to hang up without a word."""

    def __init__(self, answer: bytes | None) -> None:
        self.answer = answer
        self.requests: list[bytes] = []
        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])

    def heads(self) -> list[str]:
        """The request line and headers of each request, in lower case."""
        return [request.partition(b"\r\n\r\n")[0].decode().lower() for request in self.requests]

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler(upstream: Upstream) -> type[socketserver.BaseRequestHandler]:
    class Handler(socketserver.BaseRequestHandler):
        request: socket.socket

        def handle(self) -> None:
            """One request to a connection."""
            self.request.settimeout(10)
            request = _read(self.request)
            if request.startswith(b"GET /readyz"):
                self.request.sendall(HEALTHY)
                return
            upstream.requests.append(request)
            if upstream.answer is not None:
                self.request.sendall(upstream.answer)

    return Handler


def _read(connection: socket.socket) -> bytes:
    """A request whose body, if it has one, is of the size that it says."""
    request = b""
    while b"\r\n\r\n" not in request and (chunk := connection.recv(65536)):
        request += chunk
    head, _, body = request.partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    size = next((int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length:")), 0)
    while len(body) < size and (chunk := connection.recv(65536)):
        body += chunk
    return head + b"\r\n\r\n" + body
