"""Give a store its work, and see what comes of it: how fast, and what a SIGKILL costs. All stores alike."""

import asyncio
import time
from collections.abc import Sequence

from msgspec import Struct

from bench.load import Outcome, closed_load
from bench.peers.store import Kept, Store
from bench.peers.work import Judgement
from bench.usage import CpuMeter

CONNECTIONS = 4
_POLL_SECONDS = 0.01
_POLL_SHARE = 0.01  # a look costs the database time, and need not be more exact than this

_SETTLE_SECONDS_MAX = 600


class Rate(Struct, frozen=True):
    """`readable_per_second` counts what became readable, up to the last of it; `dropped` was accepted and did not."""

    accepted_per_second: float
    readable_per_second: float
    cpu_seconds: float
    dropped: int


class Settled(Struct, frozen=True):
    """`seconds` ran until the last row was seen."""

    rows: int
    seconds: float


async def rate(store: Store, work: Sequence[Judgement]) -> Rate:
    """Send everything to an empty store, and wait until all can be read or nothing more comes."""
    requests = store.requests(work)
    await store.empty()
    meter = CpuMeter(store.pids)
    started = time.perf_counter()
    outcome = await _accepted(store, requests)
    settled = await _settle(store, len(work), started)
    cpu = sum(seconds for name, seconds in meter.used().items() if name in store.pids)
    _check_shown(store, work, settled.rows)
    return Rate(
        accepted_per_second=len(work) / outcome.seconds,
        readable_per_second=settled.rows / settled.seconds,
        cpu_seconds=cpu,
        dropped=len(work) - settled.rows,
    )


async def kept_after_kill(store: Store, work: Sequence[Judgement]) -> Kept:
    """Send everything, kill the store as soon as the last answer is in, start it again, and see what is there."""
    requests = store.requests(work)
    await store.empty()
    await _accepted(store, requests)
    store.kill()
    store.restart()
    await _settle(store, len(work), time.perf_counter())
    await asyncio.sleep(store.patience_seconds)  # what is delivered a second time comes late
    return await store.kept()


async def _accepted(store: Store, requests: Sequence[bytes]) -> Outcome:
    """Raises `RuntimeError` unless every request is answered with a 2xx: only what was accepted can be lost."""
    outcome = await closed_load(store.address, iter(requests), connections=CONNECTIONS)
    if outcome.lost or any(status // 100 != 2 for status in outcome.statuses):
        raise RuntimeError(f"{store.name} answered {dict(outcome.statuses)}, {outcome.lost} lost")
    return outcome


async def _settle(store: Store, count: int, started: float) -> Settled:
    """Wait until `count` rows are there, or the store has been idle for as long as its patience."""
    rows = await store.rows()
    changed_at = busy_at = time.perf_counter()
    while rows < count and time.perf_counter() - busy_at < store.patience_seconds:
        if time.perf_counter() - started > _SETTLE_SECONDS_MAX:
            raise RuntimeError(f"{store.name} holds {rows} of {count} scores and is still at work")
        await asyncio.sleep(max(_POLL_SECONDS, _POLL_SHARE * (time.perf_counter() - started)))
        now_rows, now = await store.rows(), time.perf_counter()
        if now_rows != rows:
            rows, changed_at, busy_at = now_rows, now, now
        elif await store.is_busy():
            busy_at = now
    return Settled(rows, changed_at - started)


def _check_shown(store: Store, work: Sequence[Judgement], rows: int) -> None:
    """What the store itself says must be what its table says: a figure for something that is wrong is no figure."""
    if (shown := store.shown(work)) != rows:
        raise RuntimeError(f"{store.name} shows {shown} scores, its table holds {rows}")
