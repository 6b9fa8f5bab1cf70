"""A house of the bench's own: durable Postgres and Redis as in production, on free ports, in a folder of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import httpx
import msgspec
from msgspec import Struct
from redis.asyncio import Redis

from bench.load import Address
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.postgres import EmbeddedPostgres
from deploy.local.process import Process, Program, wait_until
from deploy.local.records import Credentials
from deploy.local.redis import EmbeddedRedis

CHECKOUT = Path(__file__).parents[1]
STREAMS = "assay:scores:*"
LOGINS = {"api": ("api", "assay_api"), "worker": ("worker", "assay_worker")}
"""Of each kind of service that opens the database: the login by which it comes, and the role that has its rights."""
_READY_SECONDS = 60


class Service(Struct, frozen=True):
    """A running service and where it listens."""

    name: str
    process: Process
    port: int

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    @property
    def address(self) -> Address:
        return Address(LOOPBACK, self.port)

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def metric(self, name: str) -> float:
        """The sum of a metric's samples of exactly this name. Raises `KeyError` where there is none."""
        lines = httpx.get(f"{self.url}/metrics", trust_env=False).text.splitlines()
        samples = [line for line in lines if line.partition("{")[0].partition(" ")[0] == name]
        if not samples:
            raise KeyError(name)
        return sum(float(sample.rsplit(" ", 1)[1]) for sample in samples)


@contextmanager
def open_house(folder: Path) -> Iterator["House"]:
    with EmbeddedPostgres(folder / "postgres") as postgres, EmbeddedRedis(folder / "redis") as redis:
        yield House(folder, postgres, redis, postgres.url, redis.url)


class House:
    """Postgres with this release's schema, Redis, one project with a key. Services are started as a part needs them."""

    def __init__(
        self, folder: Path, postgres: EmbeddedPostgres, redis: EmbeddedRedis, database_url: str, redis_url: str
    ) -> None:
        self.database_url = database_url
        self.redis_url = redis_url
        self._folder = folder
        self._postgres = postgres
        self._redis = redis
        self._run("shared.schema", "migrate")
        for login, role in LOGINS.values():
            self._run("shared.schema", "login", login, role, sent=self._postgres.password_for(login))
        self.credentials = msgspec.json.decode(self._run("services.api.setup"), type=Credentials)

    async def wing(self, number: int) -> "House":
        """The same servers, with a database and a queue that nobody else uses: what runs in one wing is not seen in
        another. Asked for again, it is as it was left."""
        folder, name = self._folder / f"wing-{number}", f"wing_{number}"
        if not folder.is_dir():
            folder.mkdir()
            connection = await asyncpg.connect(self.database_url)
            await connection.execute(f"CREATE DATABASE {name}")
            await connection.close()
        database_url = urlsplit(self.database_url)._replace(path=f"/{name}").geturl()
        redis_url = urlsplit(self.redis_url)._replace(path=f"/{number}").geturl()
        return House(folder, self._postgres, self._redis, database_url, redis_url)

    @property
    def server_pids(self) -> dict[str, int]:
        assert self._postgres.process.pid is not None
        assert self._redis.process.pid is not None
        return {"postgres": self._postgres.process.pid, "redis": self._redis.process.pid}

    @contextmanager
    def service(
        self, name: str, module: str | None = None, arguments: tuple[str, ...] = (), *, as_owner: bool = False
    ) -> Iterator[Service]:
        """Run `python -m module` (services.<kind> if not given) until the end of the block. The kind is what stands
        before a hyphen in the name; what is no service of Assay's is a kind of ingest. It comes to the database by a
        login with its own rights, or as the owner of the tables."""
        port = free_port()
        before_hyphen = name.partition("-")[0]
        kind = before_hyphen if before_hyphen in ("worker", "api") else "ingest"
        program = Program(
            name=name,
            command=[sys.executable, "-m", module or f"services.{kind}", *arguments],
            log=self._folder / f"{name}.log",
            env={**self._environment(None if as_owner else kind), f"ASSAY_{kind.upper()}_PORT": str(port)},
            cwd=CHECKOUT,
        )
        service = Service(name, Process(program), port)
        service.process.launch()
        try:
            self._wait_until_ready(service)
            yield service
        finally:
            service.process.stop()

    async def empty(self, connection: asyncpg.Connection) -> None:
        """No score is stored and none is queued; what Postgres still had to write is written."""
        await connection.execute("TRUNCATE scores, batches, rejected_scores")
        await connection.execute("CHECKPOINT")
        await self.empty_queue()

    async def empty_queue(self) -> None:
        redis = Redis.from_url(self.redis_url)
        for stream in [stream async for stream in redis.scan_iter(STREAMS, count=1000)]:
            await redis.xtrim(stream, maxlen=0, approximate=False)
        await redis.aclose()

    def adopt_configs(self, api: Service, configs: list[dict[str, object]], api_key: str | None = None) -> None:
        """Make the score configs of the rows, in the house's project or in another key's. Those that exist are left."""
        headers = {"Authorization": f"Bearer {api_key or self.credentials.api_key}"}
        with httpx.Client(base_url=api.url, headers=headers, trust_env=False) as client:
            for config in configs:
                answer = client.post("/v1/score-configs", json=config)
                if answer.status_code not in (201, 409):
                    raise RuntimeError(f"no config {config['name']}: {answer.status_code} {answer.text}")

    def _environment(self, kind: str | None = None) -> dict[str, str]:
        """Production's defaults: nothing that is set for an Assay of this machine's user."""
        database_url = self._url_for(LOGINS[kind][0]) if kind in LOGINS else self.database_url
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("ASSAY_")}
        return {**inherited, "DATABASE_URL": database_url, "REDIS_URL": self.redis_url}

    def _url_for(self, login: str) -> str:
        path = urlsplit(self.database_url).path
        return urlsplit(self._postgres.url_for(login))._replace(path=path).geturl()

    def _run(self, *command: str, sent: str = "") -> bytes:
        done = subprocess.run(
            [sys.executable, "-m", *command],
            env=self._environment(),
            cwd=CHECKOUT,
            input=sent.encode(),
            capture_output=True,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr.decode(errors='replace')[-2000:]}")
        return done.stdout

    def _wait_until_ready(self, service: Service) -> None:
        with httpx.Client(base_url=service.url, timeout=2, trust_env=False) as client:
            if not wait_until(lambda: _is_ready(client, service), _READY_SECONDS, poll_seconds=0.05):
                raise RuntimeError(f"{service.name} is not ready: {service.process.last_log_line()}")


def _is_ready(client: httpx.Client, service: Service) -> bool:
    if not service.process.is_running():
        raise RuntimeError(f"{service.name} has ended: {service.process.last_log_line()}")
    try:
        return client.get("/readyz").status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False
