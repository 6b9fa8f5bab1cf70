"""Sends batches of rows and waits for their receipts: a few threads, bounded in what is on its way."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterable
from typing import Any, Callable, NamedTuple

from assay.backoff import pause_seconds
from assay.batch import body_of
from assay.client import Client
from assay.command.journal import Rejected, Settled
from assay.command.screen import FAILED, CommandError
from assay.errors import ApiError, NotAllowed, Unreachable
from assay.ingest import Ingest
from assay.outcome import Fate, Outcome
from assay.settings import Settings

_ON_THE_WAY_MAX = 64
_RECEIPT_READERS = 4
_RECEIPT_WAIT_SECONDS = 20.0


class Item(NamedTuple):
    """A row to be sent. `wire` is its JSON, None when it is no score; then `refused` says why."""

    row: int
    score: Any
    wire: bytes | None
    refused: Rejected | None = None


class Shipment(NamedTuple):
    """A batch: its number from 0, and its rows in order."""

    number: int
    items: list[Item]


class _Sent(NamedTuple):
    shipment: Shipment
    receipts: list[tuple[str, list[Item]]]
    rejected: list[Rejected]


class Delivery:
    """`settled(number, result)` is called for each batch, by one thread at a time."""

    def __init__(
        self, client: Client, *, senders: int, patience_seconds: float, settled: Callable[[int, Settled], None]
    ) -> None:
        self._client = client
        self._settings: Settings = client.settings
        self._senders = senders
        self._patience_seconds = patience_seconds
        self._settled = settled
        self._lock = threading.Lock()
        self._room = threading.Semaphore(_ON_THE_WAY_MAX)
        self._to_send: queue.SimpleQueue[Shipment | None] = queue.SimpleQueue()
        self._to_settle: queue.SimpleQueue[_Sent | None] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._failure: Exception | None = None

    def run(self, shipments: Iterable[Shipment]) -> None:
        """Send all and wait for every receipt. Raises CommandError when the server can't be reached for too long."""
        senders = [self._thread(self._send_all, f"sender {n}") for n in range(self._senders)]
        readers = [self._thread(self._settle_all, f"receipts {n}") for n in range(_RECEIPT_READERS)]
        try:
            for shipment in shipments:
                while not self._room.acquire(timeout=0.1):
                    self._raise_failure()
                self._raise_failure()
                self._to_send.put(shipment)
            self._end(self._to_send, senders)
            self._end(self._to_settle, readers)
        finally:
            self._stopping.set()
            self._end(self._to_send, senders)
            self._end(self._to_settle, readers)
        self._raise_failure()

    def _end(self, channel: queue.SimpleQueue[Any], threads: list[threading.Thread]) -> None:
        """Have the threads end once the channel is empty; short waits, so that Ctrl-C is heard."""
        for _ in threads:
            channel.put(None)
        for thread in threads:
            while thread.is_alive():
                thread.join(0.1)

    def _thread(self, target: Callable[[], None], name: str) -> threading.Thread:
        def run() -> None:
            try:
                target()
            except Exception as error:  # noqa: BLE001  it is raised again where the load is waited for
                self._failure = self._failure or error
                self._stopping.set()
                self._room.release()

        thread = threading.Thread(target=run, name=f"assay-load-{name}", daemon=True)
        thread.start()
        return thread

    def _raise_failure(self) -> None:
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure

    def _send_all(self) -> None:
        ingest = Ingest(self._settings)
        try:
            while (shipment := self._to_send.get()) is not None and not self._stopping.is_set():
                sent = _Sent(shipment, [], [item.refused for item in shipment.items if item.refused is not None])
                self._send(ingest, [item for item in shipment.items if item.wire is not None], sent)
                self._to_settle.put(sent)
        finally:
            ingest.close()

    def _send(self, ingest: Ingest, items: list[Item], sent: _Sent) -> None:
        """Send items until they are taken in or refused; halved where they are too much at once."""
        if not items:
            return
        outcome = self._post(ingest, body_of([item.wire or b"" for item in items]))
        if outcome.fate is Fate.SETTLED:
            refused = {refusal.place: refusal for refusal in outcome.refusals}
            for place, refusal in refused.items():
                sent.rejected.append(Rejected(items[place].row, refusal.code, refusal.detail, items[place].score))
            if outcome.batch_id is not None:
                sent.receipts.append((outcome.batch_id, items))
        elif len(items) == 1:
            sent.rejected.append(Rejected(items[0].row, outcome.code, outcome.detail, items[0].score))
        else:
            self._send(ingest, items[: len(items) // 2], sent)
            self._send(ingest, items[len(items) // 2 :], sent)

    def _post(self, ingest: Ingest, body: bytes) -> Outcome:
        """Return what became of a body. Tries as long as the patience lasts."""
        deadline = time.monotonic() + self._patience_seconds
        failures = 0
        while True:
            outcome = ingest.post(body)
            if outcome.fate in (Fate.SETTLED, Fate.HALVE):
                return outcome
            if outcome.fate is Fate.BARRED:
                raise NotAllowed(0, outcome.code, outcome.detail)
            failures += 1
            pause = pause_seconds(failures, outcome.retry_after_seconds, 5.0)
            if time.monotonic() + pause > deadline:
                raise CommandError(
                    f"No batch got through for {self._patience_seconds:.0f} s: {outcome.code} {outcome.detail}. "
                    "The same command goes on from here.",
                    FAILED,
                )
            if self._stopping.wait(pause):
                raise CommandError("stopped", FAILED)

    def _settle_all(self) -> None:
        while (sent := self._to_settle.get()) is not None and not self._stopping.is_set():
            settled = self._result(sent)
            with self._lock:
                self._settled(sent.shipment.number, settled)
            self._room.release()

    def _result(self, sent: _Sent) -> Settled:
        counts = {"stored": 0, "replaced": 0, "unchanged": 0}
        rejected = list(sent.rejected)
        for batch_id, items in sent.receipts:
            receipt = self._receipt(batch_id)
            for name in counts:
                counts[name] += receipt.get(name) or 0
            for rejection in receipt.get("rejections") or []:
                item = items[rejection["index"]]
                rejected.append(Rejected(item.row, rejection["code"], rejection["detail"], item.score))
        rows = len(sent.shipment.items)
        unknown = rows - sum(counts.values()) - len(rejected)
        last_row = sent.shipment.items[-1].row
        in_order = tuple(sorted(rejected, key=lambda one: one.row))
        return Settled(last_row, rows, unknown=unknown, rejected=in_order, **counts)

    def _receipt(self, batch_id: str) -> dict[str, Any]:
        """Return the final receipt; an empty one when there is none, or the patience is at its end."""
        deadline = time.monotonic() + self._patience_seconds
        while time.monotonic() < deadline and not self._stopping.is_set():
            try:
                receipt = self._client.receipt(batch_id, wait=_RECEIPT_WAIT_SECONDS)
            except NotAllowed:
                raise
            except Unreachable:
                continue
            except ApiError as error:
                if error.status < 500:
                    return {}
                continue
            if receipt["status"] == "done":
                return dict(receipt)
        return {}
