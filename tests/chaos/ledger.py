"""The plain model: what was acknowledged, what was not, and so what may be stored in the end."""

import threading
from dataclasses import dataclass, field

from tests.chaos.writes import Request, Write


@dataclass(slots=True)
class Fate:
    """What is known of one id. `ghosts` are writes that were sent without an answer: each may come in at any time."""

    last: Write | None = None
    rejected: set[str] = field(default_factory=set)
    ghosts: list[Write] = field(default_factory=list)

    @property
    def was_acknowledged(self) -> bool:
        return self.last is not None or bool(self.rejected)

    def legal_marks(self) -> set[str]:
        marks = {write.mark for write in self.ghosts if write.code is None}
        return marks | {self.last.mark} if self.last else marks


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """One 202 or 207: the batch, how many were accepted, and (index, id, code) of those that the worker must reject."""

    batch_id: str
    accepted: int
    rejections: frozenset[tuple[int, str, str]]


class ProjectLedger:
    """What one project's senders know. Written by the senders' thread, read when they have ended."""

    def __init__(self) -> None:
        self.fates: dict[str, Fate] = {}
        self.batches: list[Acknowledged] = []
        self.ghost_marks: dict[str, Write] = {}  # of writes whose id the server would have made
        self.ghost_requests = 0
        self.problems: list[str] = []
        self.acknowledged_writes = 0
        self._lock = threading.Lock()

    def acknowledge(self, request: Request, batch_id: str, ids: list[str]) -> None:
        good = request.good
        if [write.id or given for (_, write), given in zip(good, ids, strict=False)] != ids or len(ids) != len(good):
            self.problems.append(f"batch {batch_id}: the ids of the answer are not those of the accepted scores")
            return
        rejections = []
        for (index, write), score_id in zip(good, ids, strict=True):
            fate = self.fates.setdefault(score_id, Fate())
            if write.code is None:
                fate.last = write
            else:
                fate.rejected.add(write.code)
                rejections.append((index, score_id, write.code))
        self.acknowledged_writes += len(ids)
        with self._lock:
            self.batches.append(Acknowledged(batch_id, len(ids), frozenset(rejections)))

    def leave_open(self, request: Request) -> None:
        """No answer: it can be in the queue all the same, or get there later."""
        self.ghost_requests += 1
        for _, write in request.good:
            if write.id is None:
                self.ghost_marks[write.mark] = write
            else:
                self.fates.setdefault(write.id, Fate()).ghosts.append(write)

    def some_batches(self, number: int) -> list[Acknowledged]:
        """The latest ones; for a look while the senders go on."""
        with self._lock:
            return self.batches[-number:]
