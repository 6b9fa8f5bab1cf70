"""The loader against a server that answers as it is told: all that is sent is accounted for, with line and reason."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import msgspec
import pytest

from deploy.local.client import Client, RequestFailed
from deploy.local.delivery import deliver
from deploy.local.rows import Row, random_id, rows_of


@dataclass
class Server:
    """Takes every score but those without a value, rejects those below zero; `refusals` are its first answers."""

    refusals: list[httpx.Response] = field(default_factory=list)
    batches: list[list[dict[str, Any]]] = field(default_factory=list)
    pending: int = 0
    scores_max: int = 1000

    def answer(self, request: httpx.Request) -> httpx.Response:
        if self.refusals:
            return self.refusals.pop()
        return self._take(request) if request.method == "POST" else self._receipt(request)

    def _take(self, request: httpx.Request) -> httpx.Response:
        scores = msgspec.json.decode(request.content)["scores"]
        if len(scores) > self.scores_max:
            return httpx.Response(413, json={"code": "body_too_large", "detail": "too large"})
        bad = [{"index": index, "code": "null_value"} for index, score in enumerate(scores) if score["value"] is None]
        self.batches.append([score for score in scores if score["value"] is not None])
        accepted = len(scores) - len(bad)
        body = {"batch_id": f"batch-{len(self.batches)}", "accepted": accepted, "rejected": len(bad), "errors": bad}
        return httpx.Response(207 if bad else 202, json=body)

    def _receipt(self, request: httpx.Request) -> httpx.Response:
        if self.pending:
            self.pending -= 1
            return httpx.Response(200, json={"status": "pending", "stored": None})
        scores = self.batches[int(request.url.path.rpartition("-")[2]) - 1]
        low = [score for score in scores if score["value"] < 0]
        bad = [{"index": 0, "id": score["id"], "code": "below_minimum", "detail": "no"} for score in low]
        counts = {"stored": len(scores) - len(bad), "replaced": 0, "unchanged": 0, "rejected": len(bad)}
        return httpx.Response(200, json={"status": "done", **counts, "rejections": bad})


def client(server: Server, patience_seconds: float = 5) -> Client:
    transport = httpx.MockTransport(server.answer)
    return Client("http://ingest", "http://api", "key", patience_seconds=patience_seconds, transport=transport)


def rows(*values: float | None) -> Iterator[Row]:
    return rows_of([msgspec.json.encode({"value": value}) for value in values], random_id)


async def test_everything_stored_is_counted_over_all_batches() -> None:
    server = Server(pending=1)

    async with client(server) as access:
        report = await deliver(access, rows(*range(25)), batch_size=10)

    assert (report.sent, report.stored, report.all_accounted_for) == (25, 25, True)
    assert [len(batch) for batch in server.batches] == [10, 10, 5]


async def test_what_ingest_refused_and_what_was_rejected_is_told_with_its_line() -> None:
    async with client(Server()) as access:
        report = await deliver(access, rows(1, None, 2, -1), batch_size=3)

    assert (report.stored, report.refused, report.rejected, report.all_accounted_for) == (2, 1, 1, True)
    assert report.examples == {"null_value": ["line 2: "], "below_minimum": ["line 4: no"]}


async def test_a_line_that_is_not_json_is_accounted_for_and_sinks_no_neighbour() -> None:
    async with client(Server()) as access:
        report = await deliver(access, rows_of([b'{"value": 1}', b"nonsense"], random_id))

    assert (report.stored, report.refused, report.codes) == (1, 1, {"not_json": 1})


@pytest.mark.parametrize("status", [429, 503])
async def test_a_server_that_says_later_is_asked_again(status: int) -> None:
    server = Server(refusals=[httpx.Response(status, headers={"Retry-After": "0"})] * 2)

    async with client(server) as access:
        report = await deliver(access, rows(1, 2))

    assert report.stored == 2


async def test_a_batch_that_is_too_large_goes_in_halves() -> None:
    async with client(Server(scores_max=3)) as access:
        report = await deliver(access, rows(*range(10)))

    assert (report.sent, report.stored) == (10, 10)


async def test_a_wrong_key_ends_it_with_what_the_server_said() -> None:
    server = Server(refusals=[httpx.Response(401, json={"code": "unknown_key", "detail": "No such key."})] * 2)

    async with client(server) as access:
        with pytest.raises(RequestFailed, match="401 unknown_key: No such key"):
            await deliver(access, rows(1))


async def test_a_server_that_stays_away_is_given_up() -> None:
    server = Server(refusals=[httpx.Response(503)] * 100)

    async with client(server, patience_seconds=0.3) as access:
        with pytest.raises(RequestFailed, match="503"):
            await deliver(access, rows(1))


async def test_a_receipt_that_does_not_come_is_not_accounted_for() -> None:
    async with client(Server(pending=10**6)) as access:
        report = await deliver(access, rows(1), patience_seconds=0.1)

    assert (report.sent, report.settled, report.all_accounted_for) == (1, 0, False)


async def test_progress_is_told() -> None:
    seen: list[int] = []

    async with client(Server()) as access:
        await deliver(access, rows(*range(4)), batch_size=2, on_progress=lambda report: seen.append(report.settled))

    assert seen[-1] == 4
