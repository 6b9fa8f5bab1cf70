"""Many connections that are of no use, held open against a server: `python -m bench.crowd HOST PORT IDLE SLOW KEY`.

Half of the idle ones have never said a word, half have had one answer; half of the slow ones send a head byte by byte,
half a body. Whichever the server ends is opened again. Prints `{"open": n}` as a line whenever asked by a line on
standard input, and what it was answered when that ends.
"""

import asyncio
import itertools
import json
import random
import resource
import sys
from collections import Counter
from typing import Any, cast

import uvloop

BYTE_SECONDS, SLOTS = 1.0, 100
REOPEN_SECONDS = 1.0
OPENED_AT_ONCE = 200


class Crowd:
    def __init__(self, host: str, port: int, key: str) -> None:
        self.answers: Counter[str] = Counter()
        self.open = 0
        self.lost = 0
        self.slow: list[set[Member]] = [set() for _ in range(SLOTS)]
        self._address = host, port
        self._tasks: set[asyncio.Task[None]] = set()
        self._opening = asyncio.Semaphore(OPENED_AT_ONCE)
        self._starts = {
            "silent": b"",
            "idle": b"GET /healthz HTTP/1.1\r\nHost: crowd\r\n\r\n",
            "slow head": b"GET /healthz HTTP/1.1\r\nHost: crowd\r\nX-Slow: ",
            "slow body": b"POST /v1/scores HTTP/1.1\r\nHost: crowd\r\nContent-Type: application/json\r\n"
            b"Content-Length: 1000000\r\nAuthorization: Bearer " + key.encode() + b"\r\n\r\n{",
        }

    def join(self, kind: str) -> None:
        task = asyncio.get_running_loop().create_task(self._join(kind))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _join(self, kind: str) -> None:
        loop = asyncio.get_running_loop()
        async with self._opening:
            try:
                await loop.create_connection(lambda: Member(self, kind, self._starts[kind]), *self._address)
            except OSError as error:
                self.answers[type(error).__name__] += 1
                loop.call_later(REOPEN_SECONDS, self.join, kind)

    async def drip(self) -> None:
        """A byte on each slow connection, again and again; each has its own moment of the second."""
        for members in itertools.cycle(self.slow):
            await asyncio.sleep(BYTE_SECONDS / SLOTS)
            for member in list(members):
                member.send(b"a")


class Member(asyncio.Protocol):
    def __init__(self, crowd: Crowd, kind: str, start: bytes) -> None:
        self._crowd = crowd
        self._kind = kind
        self._start = start
        self._slot = crowd.slow[random.randrange(SLOTS)]
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._crowd.open += 1
        self.send(self._start)
        if self._kind.startswith("slow"):
            self._slot.add(self)

    def data_received(self, data: bytes) -> None:
        self._crowd.answers[f"{self._kind}: {data[9:12].decode()}"] += 1

    def connection_lost(self, _error: Exception | None) -> None:
        self._crowd.open -= 1
        self._crowd.lost += 1
        self._slot.discard(self)
        self._transport = None
        asyncio.get_running_loop().call_later(random.uniform(0, REOPEN_SECONDS), self._crowd.join, self._kind)

    def send(self, data: bytes) -> None:
        if self._transport is not None and data:
            self._transport.write(data)


async def run(host: str, port: int, idle: int, slow: int, key: str) -> None:
    crowd = Crowd(host, port, key)
    kinds = ["silent", "idle"] * (idle // 2) + ["slow head", "slow body"] * (slow // 2)
    for kind in kinds:
        crowd.join(kind)
    dripping = asyncio.create_task(crowd.drip())
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.readline():
        _print({"open": crowd.open})
    dripping.cancel()
    _print({"open": crowd.open, "lost": crowd.lost, **crowd.answers})


def _print(found: dict[str, Any]) -> None:
    print(json.dumps(found), flush=True)


def main() -> None:
    host, port, idle, slow, key = sys.argv[1:]
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    uvloop.run(run(host, int(port), int(idle), int(slow), key))


if __name__ == "__main__":
    main()
