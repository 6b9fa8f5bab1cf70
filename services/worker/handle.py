"""What happens to entries once they are in hand: opened, persisted, and only then let go of.

Nothing is given up here. While Postgres or Redis are away the entries are kept and tried again; when the process has to
stop first, they are still in the queue, unacknowledged, and another worker takes them over. What can't be read, or
can't be persisted for a reason that does not pass, goes to the dead letters, whole, and an error is logged.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext
from typing import NamedTuple, TypeVar

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from services.worker.backoff import waits
from services.worker.batch import Batch, Unreadable, in_portions, open_entry
from services.worker.config_cache import ConfigCache
from services.worker.metrics import WorkerMetrics
from services.worker.persist import Persisted, persist
from services.worker.settle import Tally
from services.worker.spans import TransactionSpans
from services.worker.stuck_writers import end_stuck_writers
from shared.clock import utc_now
from shared.dead_letters import bury
from shared.envelope import address_of
from shared.postgres import Pool, is_passing, took_too_long
from shared.queue import Entry, acknowledge, label_of

log = structlog.get_logger()

FAILURES_TOGETHER_MAX = 2  # then a portion is taken apart
FAILURES_ALONE_MAX = 5  # then a batch is buried, if others are persisted meanwhile
FIRST_TRY_SECONDS = 2.0  # of each batch of a portion that was taken apart; a batch takes milliseconds

T = TypeVar("T")

IsHopeless = Callable[[Exception, int], bool]
"""Of the last error, and of how many so far did not look as if they would pass."""


class Handled(NamedTuple):
    """What there was in some entries; `bytes` of JSON."""

    scores: int
    bytes: int


class Stopped(Exception):
    """The process stops and the work can't be finished now; the entries stay in the queue."""


class LastingFailure(Exception):
    """The work failed again and again, and nothing says that it would pass, or took too long each time."""


class Handler:
    def __init__(
        self,
        pool: Pool,
        redis: Redis,
        metrics: WorkerMetrics,
        stop: asyncio.Event,
        *,
        scores_max: int,
        spans: TransactionSpans | None = None,
    ) -> None:
        self._pool = pool
        self._redis = redis
        self._metrics = metrics
        self._stop = stop
        self._scores_max = scores_max
        self._spans = spans
        self._cache = ConfigCache(metrics)
        self._transactions = 0  # how many succeeded

    async def handle(self, entries: Sequence[Entry]) -> Handled:
        """All of `entries` is persisted and acknowledged, or buried, when this returns; what Redis did not let us bury
        is still pending."""
        opened = [open_entry(entry) for entry in entries]
        batches = [batch for batch in opened if isinstance(batch, Batch)]
        for portion in in_portions(batches, self._scores_max):
            await self._persist(portion)
        for unreadable in opened:
            if isinstance(unreadable, Unreadable):
                await self._bury(unreadable)
        scores = sum(len(batch.scores) for batch in batches)
        return Handled(scores, sum(len(batch.envelope.scores) for batch in batches))

    async def end_stuck_writers(self, stuck_seconds: float) -> None:
        """Free what a worker holds that no longer moves (services.worker.stuck_writers)."""
        try:
            ended = await end_stuck_writers(self._pool, stuck_seconds)
        except Exception as error:
            if not is_passing(error):
                raise
        else:
            if ended:
                log.warning("stuck_writers_ended", sessions=ended)

    async def _persist(self, batches: list[Batch]) -> None:
        """A portion that takes too long, or fails again for a reason that does not look as if it would pass, is taken
        apart."""
        if len(batches) == 1:
            await self._persist_alone(batches[0], since=self._transactions)
            return
        try:
            await self._write(
                batches, lambda error, failures: took_too_long(error) or failures >= FAILURES_TOGETHER_MAX
            )
        except LastingFailure:
            await self._persist_apart(batches)

    async def _persist_apart(self, batches: list[Batch]) -> None:
        """Each has one short try before any has a second: none waits behind one that never succeeds."""
        since, failed = self._transactions, []
        for batch in batches:
            try:
                await self._write([batch], lambda _error, _failures: True, FIRST_TRY_SECONDS)
            except LastingFailure:
                failed.append(batch)
        for batch in failed:
            await self._persist_alone(batch, since)

    async def _persist_alone(self, batch: Batch, since: int) -> None:
        """One that fails again and again, while others have been persisted (`since`: transactions before its first
        try), is buried, so that it can't hold them up for ever."""
        try:
            await self._write([batch], lambda _error, n: n >= FAILURES_ALONE_MAX and self._transactions > since)
        except LastingFailure as failure:
            await self._bury(Unreadable(batch.entry, f"can't be persisted: {failure}"))

    async def _write(self, batches: list[Batch], is_hopeless: IsHopeless, seconds: float | None = None) -> None:
        """One transaction, tried until it succeeds, and then the entries are let go of: nothing else ever does that
        but `bury`. `seconds` limits each try. Raises what `_until_done` raises."""

        async def write() -> tuple[Persisted, float]:
            started = time.perf_counter()
            async with asyncio.timeout(seconds):
                persisted = await persist(self._pool, self._cache, batches)
            return persisted, time.perf_counter() - started

        with nullcontext() if self._spans is None else self._spans.around(batches):
            persisted, took_seconds = await self._until_done("persist", write, is_hopeless)
        self._transactions += 1
        self._tell(batches, persisted, took_seconds)
        entries = [batch.entry for batch in batches]
        await self._until_done("acknowledge", lambda: acknowledge(self._redis, entries))

    async def _bury(self, unreadable: Unreadable) -> None:
        entry = unreadable.entry
        try:
            await bury(self._redis, entry, unreadable.reason)
        except (RedisError, OSError) as error:
            # A full Redis refuses it, and only we can empty it: the entry stays pending and will be met again.
            self._tell_trouble("bury", error)
            return
        self._metrics.dead_letters.labels(label_of(entry.stream)).inc()
        log.error(
            "entry_buried",
            request_id=address_of(entry.data).request_id,
            batch_id=entry.batch_id,
            reason=unreadable.reason,
            bytes=len(entry.data),
        )

    async def _until_done(
        self, step: str, work: Callable[[], Awaitable[T]], is_hopeless: IsHopeless = lambda _error, _failures: False
    ) -> T:
        """Try `work` until it succeeds. Raises `Stopped` when a stop comes while it has to wait, and `LastingFailure`
        when `is_hopeless` says so."""
        lasting = 0
        for wait in waits():
            try:
                return await work()
            except Exception as error:
                lasting += not self._tell_trouble(step, error)
                if is_hopeless(error, lasting):
                    raise LastingFailure(type(error).__name__) from error
            if await self._stopped_within(wait):
                raise Stopped
        raise AssertionError("waits() is endless")

    async def _stopped_within(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._stop.wait(), seconds)
        except TimeoutError:
            return False
        return True

    def _tell_trouble(self, step: str, error: Exception) -> bool:
        """Whether it looks as if it would pass."""
        reason = type(error).__name__
        self._metrics.retries.labels(reason).inc()
        passing = (is_passing(error) and not took_too_long(error)) or isinstance(error, RedisError)
        if passing:
            log.warning("step_tried_again", step=step, reason=reason)
        else:
            log.error("step_failed_and_tried_again", step=step, reason=reason, exc_info=error)
        return passing

    def _tell(self, batches: list[Batch], persisted: Persisted, seconds: float) -> None:
        tallies = persisted.tallies.values()
        counts = {
            "stored": sum(tally.stored for tally in tallies),
            "replaced": sum(tally.replaced for tally in tallies),
            "unchanged": sum(tally.unchanged for tally in tallies),
            "rejected": sum(tally.rejected for tally in tallies),
        }
        for outcome, count in counts.items():
            self._metrics.scores.labels(outcome).inc(count)
        for code, count in Counter(persisted.rejection_codes).items():
            self._metrics.rejected.labels(code).inc(count)
        self._metrics.transaction_scores.observe(sum(counts.values()))
        self._metrics.transaction_seconds.labels(persisted.way).observe(seconds)
        self._metrics.commit_seconds.observe(persisted.commit_seconds)
        now = utc_now()
        for batch in batches:
            visible_seconds = max(0.0, (now - batch.received_at).total_seconds())
            self._metrics.visible_seconds.observe(visible_seconds)
            log.info(
                "score_batch_persisted",
                **_names_of(batch),
                **_counts_of(persisted.tallies.get(batch.batch_id)),
                way=persisted.way,
                ms=round(seconds * 1000, 2),
                transaction_batches=len(batches),
                visible_ms=round(visible_seconds * 1000, 1),
            )


def _names_of(batch: Batch) -> dict[str, str]:
    """By which the line of a batch is found: those that ingest's line of its request has too."""
    trace = batch.envelope.trace
    names = {"request_id": batch.envelope.request_id, "batch_id": batch.batch_id}
    return names if trace is None else {**names, "trace_id": trace.trace_id}


def _counts_of(tally: Tally | None) -> dict[str, int | bool]:
    if tally is None:
        return {"already_persisted": True}
    return {
        "stored": tally.stored, "replaced": tally.replaced, "unchanged": tally.unchanged, "rejected": tally.rejected,
    }  # fmt: skip
