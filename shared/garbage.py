"""Keep the pauses of Python's garbage collector short. It reads every object that could be part of a cycle, and stops
everything meanwhile: with ten thousand connections open that was half a second, again and again.
"""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shared.tasks import end_tasks

LOOK_SECONDS = 0.25
# The collector's own measure is allocations less deallocations: where connections come and go, it waits until there are
# very many young objects, and then reads them all at once. So it is asked often, and acts by itself only beyond this;
# and reads everything only after so many looks, if much has been added.
YOUNG_MAX, LOOKS_UNTIL_ALL = 50_000, 2_400


@asynccontextmanager
async def short_pauses() -> AsyncIterator[None]:
    """Once everything is loaded, which stays, and is never looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_MAX, 10, LOOKS_UNTIL_ALL)
    looking = asyncio.create_task(_look_often(), name="garbage")
    try:
        yield
    finally:
        await end_tasks([looking])


async def _look_often() -> None:
    """At what is younger than the look before the last. Nearly all garbage goes without it, by reference counts."""
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        gc.collect(1)
