"""Keep the pauses of Python's garbage collector short. It reads every object that could be part of a cycle, and stops
everything meanwhile: with ten thousand connections open that was half a second, again and again.
"""

import asyncio
import gc
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shared.tasks import end_tasks

LOOK_SECONDS = 0.25
# The collector's own measure is allocations less deallocations: where connections come and go, it waits until there are
# very many young objects, and then reads them all at once. So it is asked often, and acts by itself only beyond this.
YOUNG_MAX = 50_000
# What was in use at two looks is read again only now and then: at most so often, for at most this share of the time.
ALL_SECONDS, ALL_SHARE_MAX = 30.0, 0.002


@asynccontextmanager
async def short_pauses() -> AsyncIterator[None]:
    """Once everything is loaded, which stays, and is never looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_MAX)
    looking = asyncio.create_task(_look_often(), name="garbage")
    try:
        yield
    finally:
        await end_tasks([looking])


async def _look_often() -> None:
    """At what is younger than the look before the last. Nearly all garbage goes without it, by reference counts."""
    due = time.monotonic() + ALL_SECONDS
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        gc.collect(1)
        if time.monotonic() >= due:
            due = time.monotonic() + max(ALL_SECONDS, _look_at_all() / ALL_SHARE_MAX)


def _look_at_all() -> float:
    """How many seconds it took."""
    started = time.monotonic()
    gc.collect()
    return time.monotonic() - started
