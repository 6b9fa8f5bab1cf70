"""One kept-alive HTTP connection, on the standard library alone.

Not safe for two threads at once: each has its own.
"""

from __future__ import annotations

import http.client
import platform
import urllib.request
from collections.abc import Mapping
from typing import NamedTuple, Union
from urllib.parse import urlsplit

from assay.version import __version__

USER_AGENT = f"assay-python/{__version__} python/{platform.python_version()}"
TROUBLES = (OSError, http.client.HTTPException)
_CLOSED_MEANWHILE = (
    http.client.RemoteDisconnected,
    http.client.CannotSendRequest,
    ConnectionResetError,
    BrokenPipeError,
    ConnectionAbortedError,
)


class Response(NamedTuple):
    """`headers` have lower-case names."""

    status: int
    headers: dict[str, str]
    body: bytes


class Connection:
    """Requests to one server with one key. A proxy is taken from the environment, as `urllib` finds it."""

    def __init__(self, url: str, api_key: str, timeout_seconds: float) -> None:
        parts = urlsplit(url)
        self._scheme = parts.scheme
        self._host = parts.hostname or ""
        self._port = parts.port
        self._path = parts.path.rstrip("/")
        self._timeout_seconds = timeout_seconds
        self._headers = {"Authorization": f"Bearer {api_key}", "User-Agent": USER_AGENT, "Accept": "application/json"}
        self._proxy = _proxy(parts.scheme, parts.netloc.rpartition("@")[2])
        self._open: http.client.HTTPConnection | None = None

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_seconds: float | None = None,
    ) -> Response:
        """Return the answer, whatever its status. Raises one of TROUBLES when there is none.

        A kept connection that the server had closed meanwhile is opened again once. Every request of this package may
        be repeated: scores carry their ids.
        """
        kept = self._open is not None
        try:
            return self._once(method, path, body, headers, timeout_seconds)
        except _CLOSED_MEANWHILE:
            if not kept:
                raise
            return self._once(method, path, body, headers, timeout_seconds)

    def close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None

    def abandon(self) -> None:
        """Forget the connection without a word on it: in the child of a fork it belongs to the parent."""
        self._open = None

    def _once(
        self,
        method: str,
        path: str,
        body: bytes | None,
        headers: Mapping[str, str] | None,
        timeout_seconds: float | None,
    ) -> Response:
        connection = self._open or self._connect()
        self._open = connection
        try:
            if connection.sock is not None:
                connection.sock.settimeout(timeout_seconds or self._timeout_seconds)
            connection.request(method, self._target(path), body, {**self._headers, **(headers or {})})
            answer = connection.getresponse()
            content = answer.read()
        except BaseException:
            self.close()  # what is half read must not be taken for the answer to the next request
            raise
        if answer.will_close:
            self.close()
        return Response(answer.status, {name.lower(): text for name, text in answer.getheaders()}, content)

    def _connect(self) -> http.client.HTTPConnection:
        kind: type[Union[http.client.HTTPConnection, http.client.HTTPSConnection]] = (
            http.client.HTTPSConnection if self._scheme == "https" else http.client.HTTPConnection
        )
        if self._proxy is None:
            return kind(self._host, self._port, timeout=self._timeout_seconds)
        connection = kind(self._proxy[0], self._proxy[1], timeout=self._timeout_seconds)
        if self._scheme == "https":
            connection.set_tunnel(self._host, self._port)
        return connection

    def _target(self, path: str) -> str:
        if self._proxy is None or self._scheme == "https":
            return self._path + path
        port = f":{self._port}" if self._port else ""
        return f"http://{self._host}{port}{self._path}{path}"


def _proxy(scheme: str, host: str) -> tuple[str, int] | None:
    url = urllib.request.getproxies().get(scheme)
    if not url or urllib.request.proxy_bypass(host):
        return None
    parts = urlsplit(url if "://" in url else f"http://{url}")
    return (parts.hostname, parts.port or 80) if parts.hostname else None
