"""Quotas: how many requests and scores a key, and its project, may send in a minute, counted in Redis for all.

The window slides: of the minute before, as much counts as still lies within the last 60 seconds. Who has no quota costs
nothing. Counting is left to `limits`.
"""

import math
import time
from collections.abc import Callable

from limits import RateLimitItemPerMinute
from limits.aio.storage import RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import OutOfMemoryError, RedisError

from shared.errors import OverQuota, QueueFull, QueueUnavailable, TooLarge
from shared.keys import Grant

WINDOW_SECONDS = 60


class Limit(Struct, frozen=True):
    """One quota that a request is under: what it is called, how much of it is left, and when more of it comes."""

    name: str
    quota: int
    remaining: int
    reset_seconds: int


Tell = Callable[[Limit], None]
"""Is told each quota that was counted, also the one that is used up."""


class Quotas:
    def __init__(self, redis: Redis) -> None:
        storage = RedisStorage(
            "async+redis://",
            implementation="redispy",
            key_prefix="assay:quota",
            connection_pool=redis.connection_pool,  # type: ignore[arg-type]
        )
        self._counter = SlidingWindowCounterRateLimiter(storage)

    async def take_request(self, grant: Grant, tell: Tell) -> None:
        """Count one request. Raises `OverQuota`, or `QueueUnavailable` when it can't be told."""
        await self._take(
            grant, "requests", grant.key_quota.requests_per_minute, grant.project_quota.requests_per_minute, 1, tell
        )

    async def take_scores(self, grant: Grant, count: int, tell: Tell) -> None:
        """Count `count` scores, all or none. Raises `TooLarge` for more than a minute's, and as `take_request`."""
        key, project = grant.key_quota.scores_per_minute, grant.project_quota.scores_per_minute
        least = min(quota for quota in (key, project, count) if quota is not None)
        if count > least:
            raise TooLarge(f"The batch has more scores than the quota of a minute: {least}.", code="batch_over_quota")
        await self._take(grant, "scores", key, project, count, tell)

    async def _take(
        self, grant: Grant, what: str, key: int | None, project: int | None, count: int, tell: Tell
    ) -> None:
        try:
            if key is not None:
                await self._count(f"key-{what}", str(grant.key_id), key, count, tell)
            if project is not None:
                await self._count(f"project-{what}", str(grant.project_id), project, count, tell)
        except OutOfMemoryError as error:
            raise QueueFull("Redis has no memory left.") from error
        except (RedisError, OSError) as error:
            raise QueueUnavailable("The queue can't be reached.") from error

    async def _count(self, name: str, whose: str, quota: int, count: int, tell: Tell) -> None:
        item = RateLimitItemPerMinute(quota)
        fits = await self._counter.hit(item, name, whose, cost=count)
        reset_at, remaining = await self._counter.get_window_stats(item, name, whose)
        limit = Limit(name, quota, remaining, min(WINDOW_SECONDS, max(1, math.ceil(reset_at - time.time()))))
        tell(limit)
        if not fits:
            raise OverQuota(f"Over the quota {name} of {quota} a minute.", limit.reset_seconds)
