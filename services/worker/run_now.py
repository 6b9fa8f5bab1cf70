"""Have a schedule run now, by a worker of the role `jobs`: `python -m services.worker.run_now verify_all_rollups`.

REDIS_URL says where to ask. That it was done, or failed, is in the log of the worker that did it, and in its metrics.
"""

import asyncio
import os
import sys

from redis.exceptions import RedisError

from services.worker.schedules import SCHEDULES
from shared.job_queue import ask_for_schedule
from shared.redis_address import BadAddress
from shared.redis_client import open_redis


async def ask(redis_url: str, name: str) -> None:
    redis = open_redis(redis_url)
    try:
        await ask_for_schedule(redis, name)
    finally:
        await redis.aclose()


def main() -> None:
    names = [schedule.name for schedule in SCHEDULES]
    redis_url = os.environ.get("REDIS_URL")
    if len(sys.argv) != 2 or sys.argv[1] not in names or not redis_url:
        sys.exit(f"usage: REDIS_URL=redis://… python -m services.worker.run_now {'|'.join(names)}")
    try:
        asyncio.run(ask(redis_url, sys.argv[1]))
    except BadAddress as error:
        sys.exit(f"REDIS_URL: {error}")
    except (RedisError, OSError) as error:
        sys.exit(f"Redis can't be reached: {type(error).__name__}")
    print(f"asked for {sys.argv[1]}")


if __name__ == "__main__":
    main()
