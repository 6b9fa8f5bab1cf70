"""Scores to send on top of a filled table (bench.filling), of the same names, data types, sources and project as there.

`new_scores` are what comes in day by day: made now, about new traces, with ids of the server's. They go to the end of
the table and of the indexes by time, and anywhere in the one by trace. `scattered_scores` are the worst that a
back-fill can be: their times, traces and ids lie anywhere among those that are there, and so do the pages of all
indexes, and the rollups, that they go to.
"""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from bench.filling import DAYS, NAMES, SCORES_PER_TRACE

_DATA_TYPES = ("NUMERIC", "NUMERIC", "BOOLEAN", "CATEGORICAL", "NUMERIC")
_SOURCES = ("SDK", "LLM_JUDGE", "LLM_JUDGE", "HUMAN", "SDK", "SDK", "EXTERNAL", "SDK")


def new_scores(rows: int, count: int, seed: int) -> list[bytes]:
    """`count` scores, each as its JSON, for a table of `rows`."""
    dice = random.Random(f"new {seed}")
    traces = [f"trace-{dice.randrange(rows // SCORES_PER_TRACE)}-{seed}" for _ in range(count // SCORES_PER_TRACE + 1)]
    return [msgspec.json.encode(_score(dice, traces[number // SCORES_PER_TRACE], number)) for number in range(count)]


def scattered_scores(rows: int, count: int, seed: int) -> list[bytes]:
    dice, now = random.Random(f"scattered {seed}"), datetime.now(UTC)
    return [msgspec.json.encode(_scattered(dice, rows, number, seed, now)) for number in range(count)]


def _scattered(dice: random.Random, rows: int, number: int, seed: int, now: datetime) -> dict[str, Any]:
    trace = f"trace-{dice.randrange(rows // SCORES_PER_TRACE)}"
    return {
        "id": f"s{dice.randrange(rows):09}-{seed}-{number}",
        "timestamp": (now - timedelta(days=DAYS * dice.random())).isoformat(),
        **_score(dice, trace, number),
    }


def _score(dice: random.Random, trace: str, number: int) -> dict[str, Any]:
    kind = int((NAMES + 1) ** dice.random())
    score = {
        "name": f"metric_{kind:02}",
        "value": _value(dice, _DATA_TYPES[kind % 5]),
        "trace_id": trace,
        "source": _SOURCES[number % 8],
        "environment": "staging" if kind % 4 == 3 else "production",
        "metadata": {"release": f"v{number % 12}", "dataset": "generated"},
    }
    if number % 20 < 6:
        score["span_id"] = f"span-{dice.getrandbits(40)}"
    if number % 4 == 0:
        score["comment"] = f"a remark of some words, number {number}"
    return score


def _value(dice: random.Random, data_type: str) -> bool | float | str:
    match data_type:
        case "BOOLEAN":
            return dice.random() < 0.8
        case "NUMERIC":
            return round(dice.random() ** 2, 4)
    return f"kind_{dice.randrange(8)}"
