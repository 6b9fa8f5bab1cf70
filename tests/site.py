"""A site to work with as an operator does: servers and services of its own, a sender, and the commands."""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Self

import asyncpg
import httpx
from redis import Redis

from deploy.local.binaries import postgres_binary
from deploy.local.postgres import EmbeddedPostgres
from deploy.local.redis import EmbeddedRedis
from shared.queue import batch_id_of, key_of, streams_of
from tests.builders import a_score
from tests.logins import API_LOGIN, WORKER_LOGIN, as_login, make_logins
from tests.stack import Project, make_project
from tests.system.processes import ROOT, Service
from tests.upgrade.release import NEW, Release
from tests.waiting import wait_until

SHARDS = 8
BATCH_SIZE = 7
SENDERS = 4


class Site:
    """`with Site(folder) as site`: both servers run, as durable as in production. Services are started by who needs
    them. `redis`: one that runs already, of a site whose PostgreSQL is lost."""

    def __init__(self, folder: Path, redis: EmbeddedRedis | None = None) -> None:
        self._stack = ExitStack()
        self._has_own_redis = redis is None
        folder.mkdir()
        self.postgres = EmbeddedPostgres(folder / "postgres")
        self.redis = redis or EmbeddedRedis(folder / "redis")

    def __enter__(self) -> Self:
        self._stack.enter_context(self.postgres)
        if self._has_own_redis:
            self._stack.enter_context(self.redis)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def start(self, kind: str, release: Release = NEW, **settings: str) -> Service:
        login = {"worker": WORKER_LOGIN, "api": API_LOGIN}.get(kind)
        url = as_login(self.postgres.url, login) if login else ""
        service = Service(
            kind,
            url,
            self.redis.url,
            {"ASSAY_CLAIM_IDLE_SECONDS": "1.0", **settings},
            folder=release.root,
            python=(release.python,),
        )
        self._stack.callback(service.__exit__)
        return service.start()

    async def migrate(self) -> None:
        self.command("shared.schema", "migrate")
        await make_logins(self.postgres.url)

    async def make_projects(self, number: int = 2) -> list[Project]:
        return [await make_project(self.postgres.url, self.redis.url, f"p{count}") for count in range(number)]

    def command(self, *command: str) -> str:
        """What `python -m command` prints."""
        environment = {"PATH": os.environ["PATH"], "DATABASE_URL": self.postgres.url, "REDIS_URL": self.redis.url}
        done = subprocess.run(
            [sys.executable, "-m", *command], cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True
        )
        return done.stdout

    async def dump(self, file: Path) -> None:
        await _run("pg_dump", "--format=custom", f"--file={file}", self.postgres.url)

    async def restore(self, file: Path) -> None:
        url = self.postgres.url
        await _run("pg_restore", "--no-owner", "--no-privileges", "--exit-on-error", f"--dbname={url}", str(file))

    def copy_queue(self, folder: Path) -> None:
        """The append-only file, while Redis goes on writing to it."""
        folder.mkdir()
        for path in self.redis.folder.glob("appendonly*"):
            (shutil.copytree if path.is_dir() else shutil.copy)(path, folder / path.name)

    def put_queue(self, folder: Path) -> None:
        """Before Redis is started."""
        shutil.copytree(folder, self.redis.folder)

    def queued(self) -> set[str]:
        """The batches that are in the queue."""
        with Redis.from_url(self.redis.url) as redis:
            return {
                batch_id_of(stream, entry_id.decode())
                for stream in streams_of(SHARDS)
                for entry_id, _ in redis.xrange(key_of(stream))
            }

    async def persisted(self) -> set[str]:
        return {row["batch_id"] for row in await self.fetch("SELECT batch_id FROM batches")}

    async def scores(self) -> set[str]:
        return {row["id"] for row in await self.fetch("SELECT id FROM scores")}

    async def fetch(self, statement: str) -> list[Any]:
        connection = await asyncpg.connect(self.postgres.url)
        rows: list[Any] = await connection.fetch(statement)
        await connection.close()
        return rows

    async def drained(self) -> None:
        await wait_until(lambda: not self.queued(), what="an empty queue", patience_seconds=120)


class Sender:
    """Sends to all projects, and keeps what was acknowledged: the ids, which begin with `name`, by batch."""

    def __init__(self, ingest: Service, projects: list[Project], name: str = "s") -> None:
        self._name = name
        self.acknowledged: dict[str, list[str]] = {}
        self.project_of: dict[str, Project] = {}
        self._url = f"{ingest.url}/v1/scores"
        self._projects = projects
        self._count = 0

    @asynccontextmanager
    async def sending(self) -> AsyncIterator[None]:
        """On and on, until the end of the block."""
        stop = asyncio.Event()
        async with httpx.AsyncClient(timeout=60) as client, asyncio.TaskGroup() as group:
            for number in range(SENDERS):
                group.create_task(self._send(client, self._projects[number % len(self._projects)], stop))
            try:
                yield
            finally:
                stop.set()

    async def has_sent(self, batches: int) -> None:
        """So many more."""
        wanted = len(self.acknowledged) + batches
        await wait_until(lambda: len(self.acknowledged) >= wanted, what=f"{batches} batches", patience_seconds=120)

    def scores_of(self, batch_ids: set[str]) -> set[str]:
        return {score_id for batch_id in batch_ids for score_id in self.acknowledged[batch_id]}

    async def _send(self, client: httpx.AsyncClient, project: Project, stop: asyncio.Event) -> None:
        while not stop.is_set():
            scores = [self._score() for _ in range(BATCH_SIZE)]
            answer = await client.post(self._url, json={"scores": scores}, headers=project.headers)
            assert answer.status_code == 202, answer.text
            batch_id = answer.json()["batch_id"]
            self.acknowledged[batch_id], self.project_of[batch_id] = answer.json()["ids"], project

    def _score(self) -> dict[str, Any]:
        self._count += 1
        return a_score(id=f"{self._name}{self._count}", value=self._count % 10 / 10)


async def _run(program: str, *arguments: str) -> None:
    process = await asyncio.create_subprocess_exec(
        str(postgres_binary(program)), *arguments, stderr=asyncio.subprocess.PIPE
    )
    _, complaint = await process.communicate()
    assert process.returncode == 0, complaint.decode()
