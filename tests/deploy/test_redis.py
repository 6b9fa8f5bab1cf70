"""The Redis that compose file and manifests start, as a real process: durable, closed, and whole after a kill."""

import asyncio
import os
import subprocess
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, RedisError

from deploy.local.binaries import redis_server_binary
from services.ingest.redis_watch import DURABLE
from tests.system.processes import ROOT, free_port
from tests.waiting import wait_until

FOLDER = ROOT / "deploy" / "redis"
PASSWORD = "a-password-of-the-test"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The folders of the container, and the files with these in the place of the container's."""
    for name in ("etc", "run", "data", "bin"):
        (tmp_path / name).mkdir()
    places = {"/etc/assay": "etc", "/run/redis": "run", "/data": "data"}
    for name in ("redis.conf", "start.sh"):
        text = (FOLDER / name).read_text()
        for place, folder in places.items():
            text = text.replace(place, str(tmp_path / folder))
        (tmp_path / "etc" / name).write_text(text)
    (tmp_path / "bin" / "redis-server").symlink_to(redis_server_binary())
    with (tmp_path / "etc" / "redis.conf").open("a") as file:
        file.write(f"\nport {free_port()}\nbind 127.0.0.1\n")
    return tmp_path


@asynccontextmanager
async def running(home: Path) -> AsyncIterator[tuple[Process, Redis]]:
    process = await asyncio.create_subprocess_exec(
        *("sh", str(home / "etc" / "start.sh")),
        env={"PATH": f"{home / 'bin'}:{os.environ['PATH']}", "REDIS_PASSWORD": PASSWORD},
        stdout=asyncio.subprocess.DEVNULL,
    )
    client = Redis(port=_port(home), password=PASSWORD)
    try:
        await wait_until(lambda: _answers(client), what="Redis")
        yield process, client
    finally:
        await client.aclose()
        if process.returncode is None:
            process.kill()
        await process.wait()


def _port(home: Path) -> int:
    return int((home / "etc" / "redis.conf").read_text().split("\nport ")[1].split()[0])


async def _answers(client: Redis) -> bool:
    try:
        return bool(await client.ping())
    except (RedisError, OSError):
        return False


async def test_it_is_as_durable_as_the_queue_asks_for(home: Path) -> None:
    async with running(home) as (_, client):
        found = [await client.config_get(name) for name in DURABLE]
        assert {name: text for one in found for name, text in one.items()} == DURABLE
        assert int((await client.config_get("maxmemory"))["maxmemory"]) == 1 << 30


async def test_it_asks_for_the_password_which_no_argument_shows(home: Path) -> None:
    async with running(home) as (process, _):
        async with Redis(port=_port(home)) as stranger:
            with pytest.raises(AuthenticationError):
                await stranger.get("a")

        assert PASSWORD not in str(psutil.Process(process.pid).cmdline())
        assert (home / "run" / "redis.conf").stat().st_mode & 0o077 == 0


async def test_what_it_confirmed_is_there_after_a_kill(home: Path) -> None:
    async with running(home) as (process, client):
        await client.xadd("s", {"e": "1"})
        process.kill()

    async with running(home) as (_, client):
        assert await client.xlen("s") == 1


async def test_it_stops_when_it_is_told_to(home: Path) -> None:
    async with running(home) as (process, _):
        process.terminate()

        assert await asyncio.wait_for(process.wait(), 30) == 0


def test_without_a_password_it_does_not_start(home: Path) -> None:
    started = subprocess.run(["sh", str(home / "etc" / "start.sh")], env={"PATH": os.environ["PATH"]}, check=False)

    assert started.returncode != 0
    assert list((home / "data").iterdir()) == []
