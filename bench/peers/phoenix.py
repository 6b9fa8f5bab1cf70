"""Arize Phoenix as a store: one process, on a database of its own in the house's PostgreSQL.

It is installed from pinned requirements into an environment of its own, listens on loopback only, and is told to call
nobody.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import httpx

from bench.house import CHECKOUT, House
from bench.load import Address, closed_load
from bench.peers.store import Kept, has_transactions
from bench.peers.waiting import wait_until_ready
from bench.peers.work import Judgement, annotation_bodies, span_bodies, span_ids
from bench.wire import post_requests
from deploy.local import install
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.process import Process, Program

HERE = Path(__file__).parent
ENVIRONMENT = CHECKOUT / ".peers" / "phoenix"
REQUIREMENTS = HERE / "phoenix.txt"
PACKAGE = "arize-phoenix"
_PROJECT = "default"
_DATABASE = "phoenix"
_SPANS_SECONDS = 120
_SPANS_ASKED_MAX = 100  # in one question: they go into the address
_SHOWN_MAX = 10_000


def installed_python() -> Path:
    """Phoenix' Python; it is installed first where it is missing or of another version."""
    install.main(ENVIRONMENT, REQUIREMENTS)
    return ENVIRONMENT / "bin" / "python"


def pinned_version(requirements: str) -> str:
    """The version of Phoenix in the text of a compiled requirements file."""
    pins = (line.removesuffix(" \\").partition("==") for line in requirements.splitlines())
    return next(version for name, _, version in pins if name == PACKAGE)


class Phoenix:
    """`is_sync`: whether it is asked to answer only when the annotations are in its database."""

    patience_seconds = 15.0  # it tries again after 10 s

    def __init__(self, house: House, process: Process, port: int, connection: asyncpg.Connection) -> None:
        self._house = house
        self._process = process
        self._connection = connection
        self._url = f"http://{LOOPBACK}:{port}"
        self.address = Address(LOOPBACK, port)
        self.is_sync = False

    @property
    def name(self) -> str:
        return "Phoenix, sync=true" if self.is_sync else "Phoenix"

    def synchronous(self) -> "Phoenix":
        """The same server, asked the other way."""
        other = Phoenix(self._house, self._process, self.address.port, self._connection)
        other.is_sync = True
        return other

    @property
    def pids(self) -> dict[str, int]:
        assert self._process.pid is not None
        return {"phoenix": self._process.pid, "postgres": self._house.server_pids["postgres"]}

    def requests(self, work: Sequence[Judgement]) -> list[bytes]:
        path = f"/v1/span_annotations?sync={str(self.is_sync).lower()}"
        return post_requests(path, "none", annotation_bodies(work))

    async def empty(self) -> None:
        """What it still held in memory has come or been given up before: see `patience_seconds`."""
        await self._connection.execute("TRUNCATE span_annotations")
        await self._connection.execute("CHECKPOINT")

    async def rows(self) -> int:
        return int(await self._connection.fetchval("SELECT count(*) FROM span_annotations"))

    async def is_busy(self) -> bool:
        return await has_transactions(self._connection)

    async def kept(self) -> Kept:
        return Kept(
            rows=await self.rows(),
            distinct=await self._connection.fetchval("SELECT count(DISTINCT (span_rowid, name)) FROM span_annotations"),
        )

    def shown(self, work: Sequence[Judgement]) -> int:
        ids = span_ids(len(work))
        with httpx.Client(base_url=self._url, trust_env=False, timeout=60) as client:
            asked = (ids[start : start + _SPANS_ASKED_MAX] for start in range(0, len(ids), _SPANS_ASKED_MAX))
            return sum(_annotation_count(client, some) for some in asked)

    def kill(self) -> None:
        self._process.kill()

    def restart(self) -> None:
        self._process.launch()
        wait_until_ready(self._process, self._url)

    async def add_spans(self, count: int) -> None:
        """Make the spans that `count` judgements are about. Returns when all are in the database."""
        requests = post_requests(f"/v1/projects/{_PROJECT}/spans", "none", span_bodies(span_ids(count)))
        outcome = await closed_load(self.address, iter(requests), connections=1)
        if set(outcome.statuses) != {202}:
            raise RuntimeError(f"Phoenix answered {dict(outcome.statuses)} to spans")
        until = time.monotonic() + _SPANS_SECONDS
        while (found := await self._connection.fetchval("SELECT count(*) FROM spans")) < len(span_ids(count)):
            if time.monotonic() > until:
                raise RuntimeError(f"Phoenix made only {found} spans")
            await asyncio.sleep(0.1)
        await self._connection.execute("VACUUM (ANALYZE)")  # the planner shall know the spans from the first round on


@asynccontextmanager
async def phoenix(house: House, folder: Path, python: Path) -> AsyncIterator[Phoenix]:
    """A Phoenix that logs into `folder`, until the end of the block."""
    await _create_database(house)
    port = free_port()
    process = Process(_program(house, folder, python, port))
    connection = await asyncpg.connect(_database_url(house))
    try:
        peer = Phoenix(house, process, port, connection)
        peer.restart()
        yield peer
    finally:
        await connection.close()
        process.stop()


def _program(house: House, folder: Path, python: Path, port: int) -> Program:
    return Program(
        name="phoenix",
        command=[str(python), "-I", str(HERE / "loopback.py")],
        log=folder / "phoenix.log",
        env={**_inherited(), **_settings(house, folder, port)},
        cwd=folder,
    )


def _inherited() -> dict[str, str]:
    """Nothing that is set for a Phoenix of this machine's user."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PHOENIX_", "OTEL_"))}


def _settings(house: House, folder: Path, port: int) -> dict[str, str]:
    return {
        "PHOENIX_SQL_DATABASE_URL": _database_url(house),
        "PHOENIX_HOST": LOOPBACK,
        "PHOENIX_PORT": str(port),
        "PHOENIX_GRPC_PORT": str(free_port()),
        "PHOENIX_WORKING_DIR": str(folder / "phoenix"),
        "PHOENIX_TELEMETRY_ENABLED": "false",
        "PHOENIX_ALLOW_EXTERNAL_RESOURCES": "false",
        "PHOENIX_DISABLE_AGENT_ASSISTANT": "true",
    }


def _database_url(house: House) -> str:
    return urlsplit(house.database_url)._replace(path=f"/{_DATABASE}").geturl()


async def _create_database(house: House) -> None:
    connection = await asyncpg.connect(house.database_url)
    await connection.execute(f"CREATE DATABASE {_DATABASE}")
    await connection.close()


def _annotation_count(client: httpx.Client, ids: Sequence[str]) -> int:
    parameters: dict[str, str | int | Sequence[str]] = {"span_ids": ids, "limit": _SHOWN_MAX}
    answer = client.get(f"/v1/projects/{_PROJECT}/span_annotations", params=parameters).raise_for_status()
    return len(answer.json()["data"])
