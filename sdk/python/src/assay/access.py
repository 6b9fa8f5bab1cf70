"""Calls of the api: JSON in and out, errors as exceptions, and another try when the server asks for it."""

from __future__ import annotations

import json
import os
import time
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from assay.backoff import pause_seconds
from assay.errors import ApiError, NotAllowed, NotFound, Unreachable
from assay.outcome import retry_after
from assay.settings import Settings

if TYPE_CHECKING:
    from assay.transport import Connection

_TRIES = 4
_LONGEST_PAUSE_SECONDS = 5.0
_LATER = (429, 502, 503, 504)
_NOT_LATER = "query_timeout"  # a 503 that will be one again


class Answer(NamedTuple):
    """`content` is the answer's JSON; `headers` have lower-case names."""

    content: Any
    headers: dict[str, str]


class Access:
    """One base URL and key. Connections are kept, and lent to one call at a time."""

    def __init__(self, url: str, settings: Settings, tries: int = _TRIES) -> None:
        self._url = url
        self._settings = settings
        self._tries = tries
        self._idle: deque[Connection] = deque()
        self._pid = os.getpid()
        self._closed = False

    def get(self, path: str, wait_seconds: float = 0.0) -> Any:
        """Return the answer's JSON. `wait_seconds` is how much longer than usual the answer may take.

        Raises ApiError and its kinds, and Unreachable.
        """
        return self.ask("GET", path, wait_seconds=wait_seconds).content

    def call(self, method: str, path: str, body: Any = None) -> Any:
        return self.ask(method, path, body).content

    def ask(self, method: str, path: str, body: Any = None, wait_seconds: float = 0.0) -> Answer:
        """Return the answer with its headers. Raises as `get` does."""
        content = None if body is None else json.dumps(body).encode()
        attempt = 1
        while isinstance(answer := self._once(method, path, content, wait_seconds), _Later):
            if attempt == self._tries:
                raise answer.error
            time.sleep(pause_seconds(attempt, answer.asked, _LONGEST_PAUSE_SECONDS))
            attempt += 1
        return answer

    def close(self) -> None:
        """Keep no connection from now on."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    def _once(self, method: str, path: str, content: bytes | None, wait_seconds: float) -> Answer | _Later:
        from assay.transport import TROUBLES

        connection = self._lend()
        headers = {"Content-Type": "application/json"} if content is not None else {}
        timeout = self._settings.timeout_seconds + wait_seconds
        try:
            answer = connection.request(method, path, content, headers, timeout)
        except TROUBLES as error:
            return _Later(Unreachable(f"{self._url}: {str(error) or type(error).__name__}"), None)
        finally:
            self._idle.append(connection)
            if self._closed:
                self.close()
        if 200 <= answer.status < 300:
            return Answer(_json(answer.body), answer.headers)
        problem = _problem(answer.status, answer.body)
        if answer.status in _LATER and problem.code != _NOT_LATER:
            return _Later(problem, retry_after(answer.headers))
        raise problem

    def _lend(self) -> Connection:
        from assay.transport import Connection

        if self._pid != os.getpid():  # the child of a fork: the connections are the parent's
            self._idle, self._pid = deque(), os.getpid()
        try:
            return self._idle.pop()
        except IndexError:
            return Connection(self._url, self._settings.api_key or "", self._settings.timeout_seconds)


class _Later(NamedTuple):
    """No answer yet: why, and the seconds the server asks to wait."""

    error: Exception
    asked: float | None


def _problem(status: int, body: bytes) -> ApiError:
    try:
        problem = json.loads(body)
    except ValueError:
        problem = {}
    if not isinstance(problem, dict):
        problem = {}
    kind = {401: NotAllowed, 403: NotAllowed, 404: NotFound}.get(status, ApiError)
    detail = str(problem.get("detail") or problem.get("title") or "")
    return kind(
        status,
        str(problem.get("code") or f"http_{status}"),
        detail,
        request_id=str(problem.get("request_id") or ""),
        pointer=str(problem.get("pointer") or ""),
    )


def _json(body: bytes) -> Any:
    try:
        return json.loads(body) if body else None
    except ValueError:  # a health check may say it in words
        return None
