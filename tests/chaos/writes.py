"""What the senders write: scores whose comment numbers the write, so that a stored row says which write it is."""

import itertools
import json
import random
import uuid
from dataclasses import dataclass
from typing import Any

from tests.builders import a_score

# A number that JSON has and jsonb hasn't: Postgres refuses the score, and only it. `json` would not write it.
_NO_SUCH_CONFIG = str(uuid.UUID(int=7))
_BROKEN_RULES: list[tuple[str, float | str | bool, str | None]] = [
    ("relevance", 1.5, "above_maximum"),
    ("relevance", -0.5, "below_minimum"),
    ("relevance", "high", "wrong_data_type"),
    ("safety", "perhaps", "unknown_category"),
    ("latency", 1.0, "unknown_config"),
]
TRACES = 200


@dataclass(frozen=True, slots=True)
class Write:
    """One write of one score. `code` is why the worker must reject it, None if it must be stored; `id` is None where
    the server makes it."""

    number: int
    id: str | None
    name: str
    value: float | str | bool
    code: str | None

    @property
    def mark(self) -> str:
        return f"w{self.number}"


@dataclass(frozen=True, slots=True)
class Request:
    """One body; `writes[i]` is its i-th item, None where that is malformed."""

    writes: list[Write | None]
    body: bytes

    @property
    def good(self) -> list[tuple[int, Write]]:
        return [(index, write) for index, write in enumerate(self.writes) if write is not None]


class Writer:
    """Makes the requests of one sender, whose ids no other sender uses."""

    def __init__(self, sender: str, seed: int, numbers: "itertools.count[int]") -> None:
        self._sender = sender
        self._random = random.Random(f"{seed} {sender}")
        self._numbers = numbers
        self._used: list[str] = []

    def request(self, size: int) -> Request:
        made = [self._item() for _ in range(size)]
        text = json.dumps({"scores": [score for _, score in made]})
        return Request([write for write, _ in made], text.encode())

    def _item(self) -> tuple[Write | None, dict[str, Any]]:
        if self._random.random() < 0.002:
            return None, self._random.choice(
                [a_score(value=None), {"name": "aimless", "value": 1}, a_score(odd="field")]
            )
        number = next(self._numbers)
        name, value, code = self._judgement()
        score = a_score(name=name, value=value, comment=f"w{number}", **self._target())
        if (score_id := self._id()) is not None:
            score["id"] = score_id
        if self._random.random() < 0.1:
            score["timestamp"] = f"2025-0{self._random.randint(1, 9)}-{self._random.randint(10, 28)}T12:34:56Z"
        if code is None and self._random.random() < 0.0002:
            score["metadata"], code = {"poison": True}, "storage_error"
        if code == "unknown_config":
            score["config_id"] = _NO_SUCH_CONFIG
        return Write(number, score_id, name, value, code), score

    def _id(self) -> str | None:
        """Mostly a new one; at times one that was used before, or none."""
        dice = self._random.random()
        if dice < 0.05:
            return None
        if dice < 0.15 and self._used:
            return self._random.choice(self._used[-500:])
        self._used.append(f"{self._sender}-{len(self._used)}")
        return self._used[-1]

    def _judgement(self) -> tuple[str, float | str | bool, str | None]:
        dice = self._random.random()
        if dice < 0.01:
            return self._random.choice(_BROKEN_RULES)
        if dice < 0.5:
            return "relevance", round(self._random.random(), 3), None
        if dice < 0.7:
            return "safety", self._random.choice(["safe", "unsafe"]), None
        if dice < 0.85:
            return "thumbs", self._random.random() < 0.7, None
        return "latency", self._random.lognormvariate(5, 2), None

    def _target(self) -> dict[str, str]:
        trace_id = f"t{self._random.randrange(TRACES)}"
        return {"trace_id": trace_id, "span_id": "s1"} if self._random.random() < 0.2 else {"trace_id": trace_id}
