"""Ingest alone, as in production: an app on a real Redis, with keys published to it and no Postgres anywhere."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import httpx
import msgspec
from redis.asyncio import Redis

from services.ingest.app import open_app
from services.ingest.settings import Settings
from shared.ids import uuid7
from shared.key_directory import mark_whole, publish
from shared.keys import Grant, Scope, hash_of, new_key
from tests.leaks import WATCH
from tests.stack import client_of

PROJECT = UUID("00000000-0000-7000-8000-000000000001")


@dataclass
class Intake:
    client: httpx.AsyncClient
    redis: Redis
    key: str

    async def post(self, content: bytes | AsyncIterator[bytes], **headers: str) -> httpx.Response:
        """One request with the good key; `content_encoding="gzip"` becomes a header."""
        said = {"Authorization": f"Bearer {self.key}"} | {
            name.replace("_", "-"): text for name, text in headers.items()
        }
        return await self.client.post("/v1/scores", content=content, headers=said)

    async def send(self, *scores: Any) -> httpx.Response:
        WATCH.remember(scores)
        return await self.post(msgspec.json.encode({"scores": scores}))

    async def queued(self) -> int:
        """How many entries all streams hold."""
        keys = [key async for key in self.redis.scan_iter("assay:scores:*")]
        return sum([await self.redis.xlen(key) for key in keys])


def a_grant(scopes: Iterable[Scope] = tuple(Scope), expires_at: datetime | None = None) -> Grant:
    return Grant(key_id=UUID(uuid7()), project_id=PROJECT, scopes=tuple(sorted(scopes)), expires_at=expires_at)


async def a_key(redis: Redis, scopes: Iterable[Scope] = tuple(Scope), expires_at: datetime | None = None) -> str:
    """A new key that ingest knows."""
    key = new_key()
    await publish(redis, hash_of(key), a_grant(scopes, expires_at))
    return key


@asynccontextmanager
async def open_intake(redis_url: str, **settings: Any) -> AsyncIterator[Intake]:
    redis = Redis.from_url(redis_url)
    key = await a_key(redis)
    await mark_whole(redis)
    try:
        async with open_app(Settings(redis_url=redis_url, **settings)) as app, client_of(app) as client:
            yield Intake(client, redis, key)
    finally:
        await redis.aclose()
