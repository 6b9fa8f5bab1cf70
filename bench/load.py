"""Send load: closed (each connection sends its next request after the answer) or open (at a rate, whatever happens)."""

import asyncio
import itertools
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator

from msgspec import Struct

from bench.wire import Answer, Connection

STALLED_SECONDS = 60


class Outcome(Struct):
    """What came of a load. `latencies` are in seconds; of an open load they run from the moment a request was due, so
    that a stalled server can't hide the requests it kept from being sent. `lost` were sent and never answered."""

    seconds: float = 0.0
    statuses: Counter[int] = {}  # type: ignore[assignment]  # replaced at once, see __post_init__
    latencies: list[float] = []
    lost: int = 0

    def __post_init__(self) -> None:
        self.statuses = Counter()

    @property
    def accepted(self) -> int:
        return self.statuses[202]

    @property
    def is_clean(self) -> bool:
        return self.lost == 0 and set(self.statuses) <= {202}


class Address(Struct, frozen=True):
    host: str
    port: int


async def closed_load(
    address: Address, requests: Iterator[bytes], *, connections: int, seconds: float | None = None
) -> Outcome:
    """Until `requests` ends or `seconds` are over, and the last answer is in."""
    load = _Closed(requests, seconds)
    await load.run(address, connections)
    return load.outcome


class _Closed:
    def __init__(self, requests: Iterator[bytes], seconds: float | None) -> None:
        self.outcome = Outcome()
        self._requests = requests
        self._seconds = seconds
        self._started = 0.0
        self._open = 0
        self._over = asyncio.Event()

    async def run(self, address: Address, connections: int) -> None:
        loop = asyncio.get_running_loop()
        opened = [
            (await loop.create_connection(lambda: Connection(self._answered, self._lost), address.host, address.port))[
                1
            ]
            for _ in range(connections)
        ]
        self._open = len(opened)
        self._started = time.perf_counter()
        for connection in opened:
            self._send_next(connection)
        await self._over.wait()
        self.outcome.seconds = time.perf_counter() - self._started

    def _send_next(self, connection: Connection) -> None:
        in_time = self._seconds is None or time.perf_counter() - self._started < self._seconds
        request = next(self._requests, None) if in_time else None
        if request is None:
            connection.close()
        else:
            connection.send(request)

    def _answered(self, connection: Connection, answer: Answer) -> None:
        self.outcome.statuses[answer.status] += 1
        self.outcome.latencies.append(answer.seconds)
        if connection.is_open:
            self._send_next(connection)

    def _lost(self, connection: Connection) -> None:
        self.outcome.lost += connection.busy
        self._open -= 1
        if self._open == 0:
            self._over.set()


OnAccepted = Callable[[str, float], None]


async def open_load(
    address: Address,
    requests: Iterator[bytes],
    *,
    rate: float,
    seconds: float,
    connections: int,
    on_accepted: OnAccepted | None = None,
) -> Outcome:
    """`rate` requests a second, evenly. `on_accepted` gets the batch id of each 202 and when it came."""
    load = _Open(rate, int(rate * seconds), on_accepted)
    await load.run(address, requests, connections)
    return load.outcome


class _Open:
    def __init__(self, rate: float, count: int, on_accepted: OnAccepted | None) -> None:
        self.outcome = Outcome()
        self._rate = rate
        self._count = count
        self._on_accepted = on_accepted
        self._idle: deque[Connection] = deque()
        self._due: deque[tuple[float, bytes]] = deque()
        self._due_at: dict[Connection, float] = {}
        self._unsettled = count
        self._settled = asyncio.Event()

    async def run(self, address: Address, requests: Iterator[bytes], connections: int) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(connections):
            pair = await loop.create_connection(
                lambda: Connection(self._answered, self._lost), address.host, address.port
            )
            self._idle.append(pair[1])
        opened = list(self._idle)
        started = time.perf_counter()
        for number, request in enumerate(itertools.islice(requests, self._count)):
            due = started + number / self._rate
            if (ahead := due - time.perf_counter()) > 0:
                await asyncio.sleep(ahead)
            self._due.append((due, request))
            self._send_due()
        async with asyncio.timeout(STALLED_SECONDS):
            await self._settled.wait()
        self.outcome.seconds = time.perf_counter() - started
        for connection in opened:
            connection.close()

    def _send_due(self) -> None:
        while self._due and self._idle:
            due, request = self._due.popleft()
            connection = self._idle.popleft()
            self._due_at[connection] = due
            connection.send(request)

    def _answered(self, connection: Connection, answer: Answer) -> None:
        now = time.perf_counter()
        self.outcome.statuses[answer.status] += 1
        self.outcome.latencies.append(now - self._due_at.pop(connection))
        if self._on_accepted is not None and (batch_id := answer.batch_id) is not None:
            self._on_accepted(batch_id, now)
        self._idle.append(connection)
        self._settle()
        self._send_due()

    def _lost(self, connection: Connection) -> None:
        if connection.busy:
            self.outcome.lost += 1
            del self._due_at[connection]
            self._settle()
        elif connection in self._idle:
            self._idle.remove(connection)

    def _settle(self) -> None:
        self._unsettled -= 1
        if self._unsettled == 0:
            self._settled.set()
