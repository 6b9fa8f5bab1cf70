"""How many connections there may be, who goes when there are more, and who never takes what was sent."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from structlog.testing import capture_logs

from shared.http import connection
from shared.http.connections import Connections
from shared.http.server import serve
from shared.metrics import HttpMetrics
from tests.hostile.raw import Answer, Wire, head
from tests.system.processes import free_port
from tests.waiting import wait_until

CHECKOUT = Path(__file__).resolve().parents[2]
MB = 1 << 20


class Server:
    """An app with a page, a request that waits to be let go, and answers of many megabytes."""

    def __init__(self, connections_max: int = 100) -> None:
        self.metrics = HttpMetrics("ingest")
        self.port = free_port()
        self.let_go = asyncio.Event()
        self.waiting = 0
        self.wires: list[Wire] = []
        self.app = Starlette(
            routes=[
                Route("/", lambda _request: PlainTextResponse("page")),
                Route("/wait", self._wait),
                Route("/large", lambda _request: Response(bytes(30 * MB))),
                Route("/stream", lambda _request: StreamingResponse(self._pieces())),
            ]
        )
        self.app.state.connections = Connections(connections_max, 30.0, self.metrics)

    async def _wait(self, _request: Request) -> Response:
        self.waiting += 1
        await self.let_go.wait()
        return PlainTextResponse("let go")

    async def _pieces(self) -> AsyncIterator[bytes]:
        for _ in range(30):
            yield bytes(MB)

    def metric(self, line: str) -> float:
        lines = dict(
            text.rsplit(" ", 1) for text in self.metrics.register.exposition().decode().splitlines() if text[0] != "#"
        )
        return float(lines.get(line, 0))

    def cut(self, reason: str) -> float:
        return self.metric(f'assay_ingest_http_connections_cut_total{{reason="{reason}"}}')

    async def opened(self, request: bytes = b"", receive_buffer: int | None = None) -> Wire:
        """Another connection, once the server knows of it."""
        before = self.metric("assay_ingest_http_connections") + self.cut("made_room")
        wire = await asyncio.to_thread(Wire, self.port, receive_buffer=receive_buffer)
        await wait_until(lambda: self.metric("assay_ingest_http_connections") + self.cut("made_room") > before)
        self.wires.append(wire)
        return wire.send(request)


@asynccontextmanager
async def running(server: Server) -> AsyncIterator[Server]:
    stop = asyncio.Event()
    serving = asyncio.create_task(serve(server.app, "127.0.0.1", server.port, stop))
    await wait_until(lambda: _listens(server.port))
    try:
        await wait_until(lambda: server.metric("assay_ingest_http_connections") == 0)
        yield server
    finally:
        for wire in server.wires:
            wire.close()
        server.let_go.set()
        stop.set()
        await serving


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def answer_of(wire: Wire) -> Answer | None:
    return await asyncio.to_thread(wire.answer)


async def asked(wire: Wire, path: str = "/") -> int | None:
    answer = await answer_of(wire.send(head("GET", path)))
    return None if answer is None else answer.status


async def test_the_longest_idle_connection_makes_room() -> None:
    async with running(Server(connections_max=3)) as server:
        first, second, third = [await server.opened() for _ in range(3)]
        assert await asked(first) == 200  # so that the second has been idle longest

        fourth = await server.opened()

        assert await asked(fourth) == 200
        assert await answer_of(second) is None
        assert [await asked(first), await asked(third)] == [200, 200]
        assert (server.metric("assay_ingest_http_connections"), server.cut("made_room")) == (3, 1)


async def test_half_a_head_is_as_idle_as_none() -> None:
    async with running(Server(connections_max=2)) as server:
        slow = await server.opened(b"GET / HTTP/1.1\r\nX-A:")
        others = [await server.opened() for _ in range(2)]

        assert await answer_of(slow) is None
        assert [await asked(wire) for wire in others] == [200, 200]


async def test_requests_in_hand_make_no_room_and_a_newcomer_is_told_to_come_back() -> None:
    async with running(Server(connections_max=2)) as server:
        working = [await server.opened(head("GET", "/wait")) for _ in range(2)]
        await wait_until(lambda: server.waiting == 2)

        with capture_logs() as events, await asyncio.to_thread(Wire, server.port) as newcomer:
            refused = await answer_of(newcomer)
        server.let_go.set()
        answers = [await answer_of(wire) for wire in working]

        assert refused is not None
        assert (refused.status, server.cut("no_room")) == (503, 1)
        assert int(refused.headers["retry-after"]) >= 1
        [line] = [event for event in events if event["event"] == "request_refused"]
        assert line == {
            "event": "request_refused", "log_level": "info", "status": 503, "reason": "no_room", "untold": 0,
            "request_id": refused.headers["x-request-id"],
        }  # fmt: skip
        assert [answer and answer.body for answer in answers] == [b"let go", b"let go"]
        assert await asked(working[0]) == 200


async def test_a_connection_that_is_gone_has_made_room() -> None:
    async with running(Server(connections_max=2)) as server:
        await wait_until(lambda: server.metric("assay_ingest_http_connections") == 0)
        for _ in range(5):
            wire = await server.opened()
            wire.close()
            await wait_until(lambda: server.metric("assay_ingest_http_connections") == 0)

        assert server.cut("made_room") == 0


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who does not take an answer has less time than otherwise."""
    monkeypatch.setattr(connection, "UNTAKEN_SECONDS", 0.2)


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("path", ["/large", "/stream"])
@pytest.mark.parametrize("ask", [lambda path: head("GET", path), lambda path: head("GET", path, b"Connection: close")])
async def test_an_answer_that_nobody_takes_does_not_lie_for_ever(path: str, ask: Callable[[str], bytes]) -> None:
    async with running(Server()) as server:
        await server.opened(ask(path), receive_buffer=4096)

        await wait_until(lambda: server.cut("answer_untaken") == 1)

        await wait_until(lambda: server.metric("assay_ingest_http_connections") == 0)


async def test_a_reader_that_takes_his_time_gets_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "UNTAKEN_SECONDS", 2.0)  # a busy machine stands still for a while
    async with running(Server()) as server:
        wire = await server.opened(head("GET", "/large"), receive_buffer=1 * MB)

        answer = await answer_of(wire)

        assert answer is not None
        assert (len(answer.body), server.cut("answer_untaken")) == (30 * MB, 0)


LIMITED = """
import resource, sys
from shared.http.connections import Connections

soft, hard, wanted = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

class Member:
    def cut(self, reason):
        self.is_cut = True

connections, members = Connections(wanted), []
while not any(hasattr(member, "is_cut") for member in members):
    members.append(Member())
    assert connections.enter(members[-1])
print(len(members) - 1)
"""


@pytest.mark.parametrize(
    ("soft", "hard", "wanted", "held"), [(256, 4096, 1000, 1000), (256, 1000, 1000, 700), (4096, 4096, 1000, 1000)]
)
def test_a_process_takes_as_many_files_as_it_may_and_no_more_connections(
    soft: int, hard: int, wanted: int, held: int
) -> None:
    """Its stores, its log and its files must be had too."""
    command = [sys.executable, "-c", LIMITED, str(soft), str(hard), str(wanted)]

    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True)

    *said, found = done.stdout.splitlines()
    assert int(found) == held
    assert ("connections_limited" in "".join(said)) == (held < wanted)
