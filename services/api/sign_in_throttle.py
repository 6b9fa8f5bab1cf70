"""How often somebody may try to sign in. Counted for every address that is tried, whether there is such a member or
not: being throttled tells nothing."""

import asyncio
import math
import time
from contextlib import suppress
from ipaddress import ip_address, ip_network

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.errors import TooManyAttempts
from shared.keys import hash_of

WINDOW_MINUTES = 15
REDIS_SECONDS_MAX = 1.0  # one that stands still is not waited for longer
# One who mistypes is let alone; one who guesses has to wait. For a member from everywhere there are more, so that a
# stranger can't lock somebody out by failing in their name from one place.
EACH_FROM_ONE_PLACE = RateLimitItemPerMinute(10, WINDOW_MINUTES)
ALL_FROM_ONE_PLACE = RateLimitItemPerMinute(100, WINDOW_MINUTES)
EACH_FROM_EVERYWHERE = RateLimitItemPerMinute(100, WINDOW_MINUTES)


class SignInThrottle:
    """Counts in Redis, for all processes; while Redis is away each process counts by itself."""

    def __init__(self, redis: Redis) -> None:
        storage = RedisStorage(
            "async+redis://",
            implementation="redispy",
            key_prefix="assay:sign-in",
            connection_pool=redis.connection_pool,  # type: ignore[arg-type]
        )
        self._shared = SlidingWindowCounterRateLimiter(storage)
        self._own = SlidingWindowCounterRateLimiter(MemoryStorage())

    async def take(self, email: str, address: str) -> None:
        """Count an attempt. Raises `TooManyAttempts`."""
        counter = self._shared
        for item, name in self._limits(email, address):
            try:
                async with asyncio.timeout(REDIS_SECONDS_MAX):
                    await self._take(counter, item, name)
            except (RedisError, OSError, TimeoutError):
                counter = self._own
                await self._take(counter, item, name)

    async def forget(self, email: str, address: str) -> None:
        """Who has signed in starts anew."""
        item, name = self._limits(email, address)[0]
        await self._own.clear(item, name)
        with suppress(RedisError, OSError, TimeoutError):
            async with asyncio.timeout(REDIS_SECONDS_MAX):
                await self._shared.clear(item, name)

    async def _take(self, counter: SlidingWindowCounterRateLimiter, item: RateLimitItem, name: str) -> None:
        if await counter.hit(item, name):
            return
        reset_at, _ = await counter.get_window_stats(item, name)
        seconds = min(WINDOW_MINUTES * 60, max(1, math.ceil(reset_at - time.time())))
        raise TooManyAttempts("Too many attempts to sign in. Wait a while.", seconds)

    def _limits(self, email: str, address: str) -> list[tuple[RateLimitItem, str]]:
        """Redis is told the digest of an e-mail address, not the address."""
        who, place = hash_of(email.lower()).hex()[:32], _place(address)
        return [
            (EACH_FROM_ONE_PLACE, f"{who} {place}"),
            (ALL_FROM_ONE_PLACE, f"* {place}"),
            (EACH_FROM_EVERYWHERE, f"{who} *"),
        ]


def _place(address: str) -> str:
    """One who has an IPv6 address has all 2**64 of its network."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    return str(ip_network((parsed, 64), strict=False)) if parsed.version == 6 else address
