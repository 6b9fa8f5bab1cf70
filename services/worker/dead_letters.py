"""Look at the dead letters, try them again, or drop some: `python -m services.worker.dead_letters`.

    list                 what there is, and why
    retry [BATCH_ID …]   persist them now, all or these; what succeeds is a dead letter no more
    drop BATCH_ID …      remove these for good: their scores are lost

A letter that is tried again keeps its batch id and its place among the writes: a newer score of the same id stays, a
deleted one stays away, and the receipt says what became of it. DATABASE_URL and REDIS_URL say where. Exits with 1 when
some that were asked for are still dead letters, or were none.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

import asyncpg
from redis.asyncio import Redis

from services.worker.batch import Unreadable, open_entry
from services.worker.config_cache import ConfigCache
from services.worker.metrics import WorkerMetrics
from services.worker.persist import persist
from services.worker.settings import Settings
from shared.dead_letters import DeadLetter, dead_letters, remove
from shared.envelope import address_of
from shared.postgres import Pool, open_pool
from shared.redis_client import open_redis
from shared.settings import SettingsError, read_settings


async def list_letters(redis: Redis) -> int:
    count = 0
    async for letter in dead_letters(redis):
        count += 1
        print(_line(letter))
    print(f"{count} dead letters" if count else "There are no dead letters.")
    return 0


async def retry(redis: Redis, pool: Pool, wanted: Sequence[str]) -> int:
    """Each in a transaction of its own, so that one that still can't be written holds up no other."""
    cache = ConfigCache(WorkerMetrics())
    tried: dict[str, str | None] = {}
    async for letter in dead_letters(redis):
        batch_id = letter.entry.batch_id
        if wanted and batch_id not in wanted:
            continue
        trouble = tried[batch_id] = await _persist(pool, cache, letter)
        if trouble is None:
            await remove(redis, letter)
        print(f"{batch_id}: {trouble or 'persisted'}")
    missing = [batch_id for batch_id in wanted if batch_id not in tried]
    for batch_id in missing:
        print(f"{batch_id}: no such dead letter")
    remaining = sum(trouble is not None for trouble in tried.values())
    print(f"{len(tried) - remaining} persisted, {remaining} remain")
    return 1 if remaining or missing else 0


async def _persist(pool: Pool, cache: ConfigCache, letter: DeadLetter) -> str | None:
    """What stands in the way, or None."""
    opened = open_entry(letter.entry)
    if isinstance(opened, Unreadable):
        return opened.reason
    try:
        await persist(pool, cache, [opened])
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        return f"{type(error).__name__}: {error}"
    return None


async def drop(redis: Redis, wanted: Sequence[str]) -> int:
    dropped = set()
    async for letter in dead_letters(redis):
        if letter.entry.batch_id in wanted:
            await remove(redis, letter)
            dropped.add(letter.entry.batch_id)
    for batch_id in wanted:
        print(f"{batch_id}: {'dropped' if batch_id in dropped else 'no such dead letter'}")
    return 0 if dropped == set(wanted) else 1


def _line(letter: DeadLetter) -> str:
    buried_at = datetime.fromtimestamp(int(letter.handle.partition("-")[0]) / 1000, UTC).isoformat(timespec="seconds")
    address = address_of(letter.entry.data)
    scores = "?" if address.ids is None else len(address.ids)
    project = address.project_id or "unknown project"
    return f"{letter.entry.batch_id}  {buried_at}  {project}  {scores} scores  {letter.reason}"


async def _run(arguments: argparse.Namespace, settings: Settings) -> int:
    redis = open_redis(settings.redis_url)
    pool = await open_pool(
        settings.database_url, size_max=1, statement_timeout_ms=settings.statement_timeout_ms, name="dead-letters"
    )
    try:
        if arguments.action == "list":
            return await list_letters(redis)
        if arguments.action == "retry":
            return await retry(redis, pool, arguments.batch_ids)
        return await drop(redis, arguments.batch_ids)
    finally:
        await pool.close()
        await redis.aclose()


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m services.worker.dead_letters",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("list")
    actions.add_parser("retry").add_argument("batch_ids", nargs="*", metavar="BATCH_ID")
    actions.add_parser("drop").add_argument("batch_ids", nargs="+", metavar="BATCH_ID")
    arguments = parser.parse_args()
    try:
        settings = read_settings(Settings, os.environ)
    except SettingsError as error:
        sys.exit(f"can't start: {error}")
    sys.exit(asyncio.run(_run(arguments, settings)))


if __name__ == "__main__":
    main()
