"""Send rows through ingest and wait until every one is accounted for. What goes wrong is counted, never skipped."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from deploy.local.client import Client, Receipt, Refusal, RequestFailed
from deploy.local.rows import Row, batches

_EXAMPLES_PER_CODE = 3
_RECEIPT_READERS = 4
_RECEIPT_DELAY_SECONDS = 0.2  # most batches are done by then, and so need one call
_RECEIPT_PAUSE_SECONDS_MAX = 1.0
_NOT_JSON = "not_json"


@dataclass
class Report:
    """What became of every row: sent = stored + replaced + unchanged + rejected + refused when all is well."""

    sent: int = 0
    stored: int = 0
    replaced: int = 0
    unchanged: int = 0
    rejected: int = 0
    refused: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)

    @property
    def settled(self) -> int:
        return self.stored + self.replaced + self.unchanged + self.rejected + self.refused

    @property
    def all_accounted_for(self) -> bool:
        return self.settled == self.sent

    def refuse(self, line: int, refusal: Refusal) -> None:
        self.refused += 1
        self._remember(line, refusal)

    def settle(self, receipt: Receipt, lines: "Lines") -> None:
        self.stored += receipt.stored or 0
        self.replaced += receipt.replaced or 0
        self.unchanged += receipt.unchanged or 0
        self.rejected += receipt.rejected or 0
        for rejection in receipt.rejections:
            self._remember(lines.of(rejection), rejection)

    def _remember(self, line: int, refusal: Refusal) -> None:
        self.codes[refusal.code] += 1
        examples = self.examples.setdefault(refusal.code, [])
        if len(examples) < _EXAMPLES_PER_CODE:
            examples.append(f"line {line}: {refusal.detail}")


class Lines:
    """The line numbers of a batch's scores, by place and by id."""

    def __init__(self, batch: list[Row]) -> None:
        self._by_index = [row.line for row in batch]
        self._by_id = {row.id: row.line for row in batch if row.id}

    def of(self, refusal: Refusal) -> int:
        by_id = self._by_id.get(refusal.id) if refusal.id else None
        return by_id if by_id is not None else self._by_index[refusal.index]


@dataclass(frozen=True)
class _Queued:
    batch_id: str
    accepted: int
    lines: Lines
    sent_at: float


async def deliver(
    client: Client,
    rows: Iterable[Row],
    *,
    batch_size: int = 100,
    senders: int = 2,
    patience_seconds: float = 300,
    on_progress: Callable[[Report], None] = lambda _report: None,
) -> Report:
    """Send all rows and return what became of them.

    Stops waiting for receipts when nothing at all was settled for `patience_seconds`. Raises RequestFailed when the
    server refuses a whole batch (a wrong key, say) or stays away.
    """
    delivery = _Delivery(client, on_progress, patience_seconds)
    await delivery.run(batches(rows, batch_size), senders)
    return delivery.report


class _Delivery:
    def __init__(self, client: Client, on_progress: Callable[[Report], None], patience_seconds: float) -> None:
        self.report = Report()
        self._client = client
        self._on_progress = on_progress
        self._patience_seconds = patience_seconds
        self._queued: asyncio.Queue[_Queued | None] = asyncio.Queue()
        self._settled_at = 0.0

    async def run(self, source: Iterator[list[Row]], senders: int) -> None:
        self._settled_at = self._now()
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(_RECEIPT_READERS):
                    group.create_task(self._read_receipts())
                await self._send_all(source, senders)
                for _ in range(_RECEIPT_READERS):
                    self._queued.put_nowait(None)
        except* RequestFailed as failures:
            raise _first(failures) from None

    async def _send_all(self, source: Iterator[list[Row]], senders: int) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(senders):
                group.create_task(self._send_from(source))

    async def _send_from(self, source: Iterator[list[Row]]) -> None:
        """Take the next batch whenever the one before is in. Senders share the iterator: the loop has one thread."""
        for batch in source:
            for row in batch:
                if row.score is None:
                    self.report.sent += 1
                    self.report.refuse(row.line, Refusal(index=0, code=_NOT_JSON, detail=row.fault))
            await self._send([row for row in batch if row.score is not None])
            self._on_progress(self.report)

    async def _send(self, batch: list[Row]) -> None:
        if not batch:
            return
        try:
            answer = await self._client.send([row.score for row in batch if row.score is not None])
        except RequestFailed as failure:
            if failure.status != 413 or len(batch) == 1:
                raise
            await self._send(batch[: len(batch) // 2])
            await self._send(batch[len(batch) // 2 :])
            return
        self.report.sent += len(batch)
        for refusal in answer.errors:
            self.report.refuse(batch[refusal.index].line, refusal)
        if answer.accepted and answer.batch_id:
            self._queued.put_nowait(_Queued(answer.batch_id, answer.accepted, Lines(batch), self._now()))

    async def _read_receipts(self) -> None:
        while queued := await self._queued.get():
            await asyncio.sleep(max(0.0, queued.sent_at + _RECEIPT_DELAY_SECONDS - self._now()))
            receipt = await self._settled(queued.batch_id)
            if receipt is not None:
                self.report.settle(receipt, queued.lines)
                self._settled_at = self._now()
                self._on_progress(self.report)

    async def _settled(self, batch_id: str) -> Receipt | None:
        """Return the final receipt; None when there is none, or nothing has moved for as long as we are patient."""
        pause = _RECEIPT_DELAY_SECONDS
        while (receipt := await self._client.receipt(batch_id)) and receipt.status != "done":
            if self._now() - self._settled_at > self._patience_seconds:
                return None
            await asyncio.sleep(pause)
            pause = min(_RECEIPT_PAUSE_SECONDS_MAX, pause * 1.5)
        return receipt

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def _first(failures: BaseExceptionGroup[RequestFailed]) -> RequestFailed:
    """Return one error out of the group: they are copies of one trouble, and the groups of two levels hold them."""
    failure = failures.exceptions[0]
    return _first(failure) if isinstance(failure, BaseExceptionGroup) else failure
