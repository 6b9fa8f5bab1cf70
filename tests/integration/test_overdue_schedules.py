"""Schedules that missed their time while no worker was there run soon after one starts, not when they come round."""

from collections import Counter
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from redis.asyncio import Redis

from services.worker.jobs import schedule as jobs
from services.worker.schedules import DAY, SCHEDULES, Schedule, is_overdue, last_successes, next_time, note_success
from shared.clock import utc_now
from shared.postgres import Connection
from tests.monitoring.pages import a_worker, samples, value
from tests.stack import Stack
from tests.waiting import wait_until

HOURLY = next(schedule for schedule in SCHEDULES if schedule.name == "apply_retention")
NIGHTLY = next(schedule for schedule in SCHEDULES if schedule.interval_seconds == DAY)


async def set_back(redis: Redis, days: int) -> None:
    for schedule in SCHEDULES:
        await note_success(redis, schedule.name, utc_now() - timedelta(days=days))


async def runs_of(page: httpx.AsyncClient) -> Counter[str]:
    found = await samples(page)
    return Counter(
        {one.name: int(value(found, "assay_worker_schedule_runs_total", schedule=one.name) or 0) for one in SCHEDULES}
    )


def not_about_to_come_round() -> list[Schedule]:
    soon = utc_now() + timedelta(minutes=2)
    return [schedule for schedule in SCHEDULES if next_time(schedule, utc_now()) > soon]


async def test_what_missed_its_time_runs_soon_after_a_start_and_once_for_all_workers(stack: Stack) -> None:
    rare = not_about_to_come_round()
    async with Redis.from_url(stack.redis_url) as redis, AsyncExitStack() as workers:
        await set_back(redis, days=3)
        started = utc_now().timestamp()
        pages = [await workers.enter_async_context(a_worker(stack, worker_roles="jobs")) for _ in range(3)]

        async def are_fresh() -> bool:
            return min((await last_successes(redis)).values()) >= started

        await wait_until(are_fresh, patience_seconds=40)
        runs = sum([await runs_of(page) for page in pages], Counter[str]())

    assert rare
    assert {schedule.name: runs[schedule.name] for schedule in rare} == {schedule.name: 1 for schedule in rare}


async def test_what_a_stop_interrupts_goes_on_at_the_next_start(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "OVERDUE_DELAY_SECONDS", 0.5)
    monkeypatch.setattr(jobs, "COMPLETION_WAIT_SECONDS", 0.5)
    async with Redis.from_url(stack.redis_url) as redis, stack.connection() as connection:
        await set_back(redis, days=3)
        async with connection.transaction():
            await connection.execute("LOCK TABLE score_rollups IN ACCESS EXCLUSIVE MODE")
            async with a_worker(stack, worker_roles="jobs"):
                await wait_until(lambda: verifies(connection))
        stopped = utc_now().timestamp()

        async with a_worker(stack, worker_roles="jobs"):

            async def is_fresh() -> bool:
                return (await last_successes(redis))[NIGHTLY.name] >= stopped

            await wait_until(is_fresh, patience_seconds=40)


async def verifies(connection: Connection) -> bool:
    """Whether somebody wants the rollups, and waits for us."""
    waiting = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'score_rollups'::regclass)"
    return bool(await connection.fetchval(waiting))


@pytest.mark.parametrize(
    ("schedule", "last", "now", "overdue"),
    [
        (HOURLY, "10:29:05", "11:28:50", False),
        (HOURLY, "10:29:05", "11:29:30", True),
        (HOURLY, "10:40:00", "11:28:50", False),  # somebody had it run in between
        (NIGHTLY, "03:41:05", "23:59:00", False),
        (NIGHTLY, "03:40:00", "03:45:00", True),  # stopped over its moment
    ],
)
async def test_overdue_is_what_has_not_succeeded_since_its_time(
    redis_url: str, schedule: Schedule, last: str, now: str, overdue: bool
) -> None:
    def at(time: str) -> datetime:
        return datetime.fromisoformat(f"2026-03-03T{time}").astimezone()

    async with Redis.from_url(redis_url) as redis:
        await note_success(redis, schedule.name, at(last).astimezone(UTC))

        assert await is_overdue(redis, schedule, at(now).astimezone(UTC)) is overdue
