"""Scores of an application that doesn't exist, for a first look. Every one carries `metadata.generated: true`.

The same seed and instant give the same scores: two releases of a support assistant, the second of which is better, over
thirty days. Pure: no clock and no randomness of its own.
"""

import random
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta

import msgspec

DAYS = 30
_SCORES_PER_TRACE = 5

_SAFETY = ["safe", "potentially_unsafe", "unsafe"]
_SATISFACTION = ["very_satisfied", "satisfied", "neutral", "dissatisfied", "very_dissatisfied"]

CONFIGS: list[dict[str, object]] = [
    {"name": "relevance", "data_type": "NUMERIC", "min_value": 0, "max_value": 1},
    {"name": "groundedness", "data_type": "NUMERIC", "min_value": 0, "max_value": 1},
    {"name": "latency_seconds", "data_type": "NUMERIC", "min_value": 0, "max_value": None},
    {"name": "safety", "data_type": "CATEGORICAL", "categories": _SAFETY},
    {"name": "satisfaction", "data_type": "CATEGORICAL", "categories": _SATISFACTION},
    {"name": "thumbs", "data_type": "BOOLEAN"},
    {"name": "resolved", "data_type": "BOOLEAN"},
]

_COMMENTS = ["on topic", "cites the right page", "too long", "misses the second question", "friendly and clear"]


def generate(count: int, *, seed: int, now: datetime) -> Iterator[bytes]:
    """Yield `count` scores, each as its JSON, oldest first, the last a minute before `now`."""
    dice = random.Random(seed)  # noqa: S311  nothing secret is made of it
    traces = -(-count // _SCORES_PER_TRACE)
    for number in range(traces):
        share = (number + 1) / traces
        at = now - timedelta(minutes=1) - timedelta(days=DAYS) * (1 - share)
        for score in _trace_scores(dice, share, at)[: count - number * _SCORES_PER_TRACE]:
            yield msgspec.json.encode(score)


def _trace_scores(dice: random.Random, share: float, at: datetime) -> list[dict[str, object]]:
    """Return what was judged about one answer. The later it was given, the likelier it is of the better release."""
    release = "v2" if dice.random() < share else "v1"
    quality = min(1.0, max(0.0, dice.gauss(0.82 if release == "v2" else 0.68, 0.12)))
    trace, span = {"trace_id": _hex(dice, 32)}, {"span_id": _hex(dice, 16)}
    judge = {"source": "LLM_JUDGE", "author": "example-judge"}
    judged: list[dict[str, object]] = [
        {"name": "relevance", "value": round(quality, 3), **judge, **trace},
        {"name": "groundedness", "value": _near(dice, quality), **judge, **span},
        {"name": "latency_seconds", "value": round(dice.lognormvariate(0.3, 0.5), 3), "source": "SDK", **trace},
        {"name": "safety", "value": dice.choices(_SAFETY, weights=[95, 4, 1])[0], "source": "EXTERNAL", **trace},
        _from_people(dice, quality, trace),
    ]
    return [_finished(dice, score, release, at + timedelta(seconds=second)) for second, score in enumerate(judged)]


def _from_people(dice: random.Random, quality: float, trace: dict[str, str]) -> dict[str, object]:
    match dice.randrange(3):
        case 0:
            return {"name": "thumbs", "value": dice.random() < quality, "source": "HUMAN", **trace}
        case 1:
            session = {"session_id": f"conversation-{dice.randrange(200)}"}
            return {"name": "satisfaction", "value": _satisfaction(dice, quality), "source": "HUMAN", **session}
        case _:
            user = {"user_id": f"customer-{dice.randrange(60)}"}
            return {"name": "resolved", "value": dice.random() < quality, "source": "SDK", **user}


def _finished(dice: random.Random, score: dict[str, object], release: str, at: datetime) -> dict[str, object]:
    comment = {"comment": dice.choice(_COMMENTS)} if dice.random() < 0.2 else {}
    return {
        "id": str(uuid.UUID(int=dice.getrandbits(128), version=4)),
        **score,
        **comment,
        "metadata": {"generated": True, "release": release},
        "timestamp": at.isoformat(timespec="milliseconds"),
    }


def _hex(dice: random.Random, digits: int) -> str:
    return f"{dice.getrandbits(4 * digits):0{digits}x}"


def _near(dice: random.Random, quality: float) -> float:
    return round(min(1.0, max(0.0, quality + dice.gauss(0.03, 0.08))), 3)


def _satisfaction(dice: random.Random, quality: float) -> str:
    place = round((1 - quality) * 5 + dice.gauss(0, 0.6))
    return _SATISFACTION[min(4, max(0, place))]
