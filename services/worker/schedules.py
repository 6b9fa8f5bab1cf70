"""The schedules: which there are, when each comes round, when each last succeeded, and what it found.

That is noted in Redis, not in a process. So what comes once a night is known after a restart, and every worker can tell
that the schedules stand still, also one that runs none of them.
"""

from datetime import UTC, datetime
from typing import Any, cast

from arq.cron import next_cron
from msgspec import Struct
from redis.asyncio import Redis

SUCCESSES = "assay:schedules"  # schedule → seconds since 1970
DIFFERENCES = "assay:rollup-differences"  # schedule → how many it found when it last verified the rollups

MINUTE = 60
HOUR = 60 * MINUTE
DAY = 24 * HOUR


class Schedule(Struct, frozen=True):
    """`when` is what the time must match, by the clock of the machine: {"minute": {17}, "second": {0}}."""

    name: str
    interval_seconds: int
    when: dict[str, set[int]]
    timeout_seconds: int = 5 * MINUTE
    at_start: bool = False


SCHEDULES = (
    Schedule("reconcile_keys", 5, {"second": set(range(0, 60, 5))}, at_start=True),
    Schedule("record_key_use", 15, {"second": {9, 24, 39, 54}}),
    Schedule("run_stale_jobs", 15, {"second": {7, 22, 37, 52}}, at_start=True),
    Schedule("verify_recent_rollups", HOUR, {"minute": {17}, "second": {0}}, 30 * MINUTE),
    Schedule("verify_all_rollups", DAY, {"hour": {3}, "minute": {41}, "second": {0}}, 6 * HOUR),
    Schedule("apply_retention", HOUR, {"minute": {29}, "second": {0}}, HOUR),
    Schedule("housekeeping", 30 * MINUTE, {"minute": {11, 41}, "second": {30}}, 10 * MINUTE),
    Schedule("tidy_consumers", 30 * MINUTE, {"minute": {5, 35}, "second": {0}}),
)


def next_time(schedule: Schedule, after: datetime) -> datetime:
    """When it comes round after that moment."""
    return next_cron(after.astimezone(), **cast(dict[str, Any], schedule.when))


async def is_overdue(redis: Redis, schedule: Schedule, now: datetime) -> bool:
    """Whether its time has come and gone since it last succeeded."""
    last = (await last_successes(redis)).get(schedule.name)
    return last is not None and next_time(schedule, datetime.fromtimestamp(last, UTC)) < now


async def note_success(redis: Redis, name: str, now: datetime) -> None:
    await redis.hset(SUCCESSES, name, str(now.timestamp()))  # type: ignore[misc]


async def note_start(redis: Redis, now: datetime) -> None:
    """What never succeeded counts from now on, so that it is missed when its time is over."""
    for schedule in SCHEDULES:
        await redis.hsetnx(SUCCESSES, schedule.name, str(now.timestamp()))  # type: ignore[misc]


async def last_successes(redis: Redis) -> dict[str, float]:
    """By schedule, in seconds since 1970; empty while no worker has had the role `jobs`."""
    found: dict[bytes, bytes] = await redis.hgetall(SUCCESSES)  # type: ignore[misc]
    return {name.decode(): float(seconds) for name, seconds in found.items()}


async def note_differences(redis: Redis, name: str, count: int) -> None:
    await redis.hset(DIFFERENCES, name, str(count))  # type: ignore[misc]


async def last_differences(redis: Redis) -> dict[str, int]:
    """By schedule."""
    found: dict[bytes, bytes] = await redis.hgetall(DIFFERENCES)  # type: ignore[misc]
    return {name.decode(): int(count) for name, count in found.items()}
