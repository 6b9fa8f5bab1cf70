"""The plain model of tests/chaos/test_history.py: dicts, and the rules of SPEC 3 written out one score at a time."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

CATEGORIES = ("safe", "unsafe")


@dataclass(frozen=True)
class Sent:
    """One accepted request. `order` counts what was accepted: the later has the greater one."""

    order: int
    batch_id: str
    ids: list[str]
    scores: list[dict[str, Any]]


@dataclass(frozen=True)
class Stored:
    order: int
    index: int
    score: dict[str, Any]


@dataclass
class Model:
    """What must be in the database. `maximum` is the rule for "relevance" that is in force."""

    maximum: float = 1.0
    stored: dict[str, Stored] = field(default_factory=dict)
    rejected: dict[tuple[str, int], tuple[str, str]] = field(default_factory=dict)  # (batch, index) → (id, code)
    receipts: dict[str, Counter[str]] = field(default_factory=dict)
    deleted: dict[str, int] = field(default_factory=dict)  # id → what was accepted before this order stays away

    def persist(self, batches: Iterable[Sent]) -> None:
        """One committed transaction. A batch that was persisted before changes nothing."""
        for batch in sorted(batches, key=lambda batch: batch.order):
            if batch.batch_id not in self.receipts:
                tally = self.receipts[batch.batch_id] = Counter()
                for index, (score_id, score) in enumerate(zip(batch.ids, batch.scores, strict=True)):
                    tally[self._write(batch, index, score_id, score)] += 1

    def _write(self, batch: Sent, index: int, score_id: str, score: dict[str, Any]) -> str:
        code = self._broken_rule(score)
        if code is not None:
            self.rejected[batch.batch_id, index] = (score_id, code)
            return "rejected"
        before = self.stored.get(score_id)
        if batch.order < self.deleted.get(score_id, 0):
            return "unchanged"
        if before is not None and (before.order, before.index) > (batch.order, index):
            return "unchanged"
        self.stored[score_id] = Stored(batch.order, index, score)
        return "stored" if before is None else "replaced"

    def delete(self, score_id: str, order: int) -> bool:
        """Whether there was such a score. A copy that was accepted before stays away too."""
        self.deleted[score_id] = max(order, self.deleted.get(score_id, 0))
        before = self.stored.get(score_id)
        if before is None or before.order >= order:
            return False
        del self.stored[score_id]
        return True

    def delete_by_name(self, name: str, order: int) -> None:
        """What is stored now and was accepted before the delete was asked for."""
        for score_id, stored in list(self.stored.items()):
            if stored.score["name"] == name and stored.order < order:
                self.delete(score_id, order)

    def replay(self, name: str, sent: dict[str, Sent]) -> None:
        """Judge the rejected scores of that name again, each at the place that it had among the writes."""
        for batch_id, index in sorted(self.rejected, key=lambda place: (sent[place[0]].order, place[1])):
            batch = sent[batch_id]
            score_id, score = batch.ids[index], batch.scores[index]
            if score["name"] != name:
                continue
            del self.rejected[batch_id, index]
            self.receipts[batch_id]["rejected"] -= 1
            self.receipts[batch_id][self._write(batch, index, score_id, score)] += 1

    def _broken_rule(self, score: dict[str, Any]) -> str | None:
        name, value = score["name"], score["value"]
        if "metadata" in score:
            return "storage_error"
        if name == "safety" and value not in CATEGORIES:
            return "unknown_category"
        if name == "relevance" and value > self.maximum:
            return "above_maximum"
        return None

    def rows(self) -> list[dict[str, Any]]:
        """With the columns by which the api's items are compared."""
        return [{"id": score_id, **comparable(stored.score)} for score_id, stored in self.stored.items()]


def comparable(score: dict[str, Any]) -> dict[str, Any]:
    value = score["value"]
    data_type = "BOOLEAN" if isinstance(value, bool) else "CATEGORICAL" if isinstance(value, str) else "NUMERIC"
    return {
        "name": score["name"],
        "value": value,
        "data_type": data_type,
        "trace_id": score["trace_id"],
        "scored_at": score["timestamp"],
        "comment": score["comment"],
    }
