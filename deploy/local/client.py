"""Assay over HTTP, as the loader needs it: send a batch, read a receipt, make a config, read aggregates."""

import asyncio
import gzip
import random
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import httpx
import msgspec

_PATIENCE_SECONDS = 120.0  # so long an answer may keep failing to come before we give up
_PAUSE_SECONDS_MIN = 0.1
_PAUSE_SECONDS_MAX = 10.0
_TIMEOUT_SECONDS = 30.0
_TRY_LATER = (429, 502, 503, 504)


class RequestFailed(Exception):
    """The server refused for good, or could not be reached for too long."""

    def __init__(self, detail: str, status: int | None = None) -> None:
        super().__init__(detail)
        self.status = status


class Refusal(msgspec.Struct, frozen=True):
    """One score that was not taken: `index` is its place in the batch as it was sent."""

    index: int
    code: str
    detail: str = ""
    id: str | None = None


class Answer(msgspec.Struct, frozen=True):
    """What ingest says to a batch."""

    batch_id: str | None = None
    accepted: int = 0
    errors: list[Refusal] = []


class Receipt(msgspec.Struct, frozen=True):
    """What became of a batch. While its status is `pending`, the counts are None."""

    status: str
    stored: int | None = None
    replaced: int | None = None
    unchanged: int | None = None
    rejected: int | None = None
    rejections: list[Refusal] = []


class Client:
    """One project's access. `patience_seconds` bounds how long a request is tried while the services are away."""

    def __init__(
        self,
        ingest_url: str,
        api_url: str,
        api_key: str,
        *,
        compress: bool = False,
        patience_seconds: float = _PATIENCE_SECONDS,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._ingest_url = ingest_url.rstrip("/")
        self._api_url = api_url.rstrip("/")
        self._compress = compress
        self._patience_seconds = patience_seconds
        self._http = httpx.AsyncClient(
            headers={"Authorization": f"Bearer {api_key}"},
            timeout=_TIMEOUT_SECONDS,
            trust_env=False,
            transport=transport,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def send(self, scores: list[bytes]) -> Answer:
        """Send scores, each as its JSON. Every one needs an id: a batch whose answer got lost is sent again."""
        body = b'{"scores":[' + b",".join(scores) + b"]}"
        headers = {"Content-Type": "application/json"}
        if self._compress:
            body, headers["Content-Encoding"] = gzip.compress(body, 6), "gzip"
        response = await self._request("POST", f"{self._ingest_url}/v1/scores", content=body, headers=headers)
        if response.status_code in (202, 207, 422):
            return msgspec.json.decode(response.content, type=Answer)
        raise _failure(response)

    async def receipt(self, batch_id: str) -> Receipt | None:
        """Return what became of a batch so far; None when the api knows nothing of it (any more)."""
        response = await self._request("GET", f"{self._api_url}/v1/batches/{batch_id}")
        if response.status_code == httpx.codes.NOT_FOUND:
            return None
        return msgspec.json.decode(_checked(response).content, type=Receipt)

    async def make_config(self, config: Mapping[str, object]) -> bool:
        """Make a score config; returns False when there is an active one of that name, which stays as it is."""
        response = await self._request("POST", f"{self._api_url}/v1/score-configs", json=dict(config))
        if response.status_code == httpx.codes.CONFLICT:
            return False
        _checked(response)
        return True

    async def aggregates(self) -> list[dict[str, Any]]:
        """Return the statistics of everything in the project, one item for each name and data type."""
        response = _checked(await self._request("GET", f"{self._api_url}/v1/scores/aggregate"))
        items: list[dict[str, Any]] = response.json()["items"]
        return items

    async def _request(self, method: str, url: str, **arguments: Any) -> httpx.Response:
        """Ask until there is an answer other than "later", with growing pauses; as long as the patience lasts."""
        loop = asyncio.get_running_loop()
        deadline, pause = loop.time() + self._patience_seconds, _PAUSE_SECONDS_MIN
        while True:
            try:
                response = await self._http.request(method, url, **arguments)
                if response.status_code not in _TRY_LATER:
                    return response
                problem, asked_pause = _failure(response), _retry_after_seconds(response)
            except httpx.TransportError as error:
                problem, asked_pause = RequestFailed(f"{url}: {str(error) or type(error).__name__}"), None
            pause = min(_PAUSE_SECONDS_MAX, pause * 2)
            wait = (asked_pause if asked_pause is not None else pause) * random.uniform(1.0, 1.5)  # noqa: S311
            if loop.time() + wait > deadline:
                raise problem
            await asyncio.sleep(wait)


def _retry_after_seconds(response: httpx.Response) -> float | None:
    text = response.headers.get("Retry-After", "")
    return min(60.0, float(text)) if text.isascii() and text.isdigit() else None


def _checked(response: httpx.Response) -> httpx.Response:
    if response.is_success:
        return response
    raise _failure(response)


def _failure(response: httpx.Response) -> RequestFailed:
    """Say what a problem document says, or at least the status."""
    try:
        problem = response.json()
        said = f"{problem['code']}: {problem.get('detail') or problem.get('title')}"
    except (ValueError, KeyError, TypeError):
        said = response.text[:200]
    return RequestFailed(f"{response.request.url} answered {response.status_code} {said}", response.status_code)
