"""Scores of the shape of the real data, for machines that don't have it.

About as long (300 bytes of JSON), as skewed, with targets and instants that repeat. The same every time.
"""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

_START = datetime(2024, 8, 13, tzinfo=UTC)
_DAYS = 36
_CATEGORIES = [f"Kind/{letter}" for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"]
_SEVERITIES = ["Major", "Minor", "Neutral"]
_SYSTEMS = [f"system-{number:02}" for number in range(15)]

# name, data type, source, target, share of all scores
_KINDS: list[tuple[str, str, str, str, float]] = [
    ("error_category", "CATEGORICAL", "HUMAN", "span_id", 0.24),
    ("error_severity", "CATEGORICAL", "HUMAN", "span_id", 0.24),
    *((f"measure_{number:02}", "NUMERIC", "HUMAN", "trace_id", 0.05) for number in range(4)),
    *((f"verdict_{number:02}", "BOOLEAN", "LLM_JUDGE", "trace_id", 0.03) for number in range(4)),
    *((f"figure_{number:02}", "NUMERIC", "SDK", "trace_id", 0.01) for number in range(17)),
]

GENERATED_CONFIGS: list[dict[str, Any]] = [
    {"name": "error_category", "data_type": "CATEGORICAL", "categories": _CATEGORIES},
    {"name": "error_severity", "data_type": "CATEGORICAL", "categories": _SEVERITIES},
    *(
        {"name": name, "data_type": "NUMERIC", "min_value": 0, "max_value": None}
        for name, data_type, *_ in _KINDS
        if data_type == "NUMERIC"
    ),
    *({"name": name, "data_type": "BOOLEAN"} for name, data_type, *_ in _KINDS if data_type == "BOOLEAN"),
]


def generated_scores(count: int) -> list[bytes]:
    """`count` scores, each as its JSON."""
    dice = random.Random(150_032)
    kinds = dice.choices(_KINDS, weights=[kind[-1] for kind in _KINDS], k=count)
    return [msgspec.json.encode(_score(dice, kind, number / count)) for number, kind in enumerate(kinds)]


def _score(dice: random.Random, kind: tuple[str, str, str, str, float], share: float) -> dict[str, Any]:
    name, data_type, source, target, _ = kind
    digits = 16 if target == "span_id" else 32
    # A fifth of the traces of the real data carry most of its scores: so targets repeat.
    score = {"name": name, "value": _value(dice, name, data_type), target: f"{dice.randrange(20_000) << 24:0{digits}x}"}
    if dice.random() < 0.25:
        score["comment"] = "a remark of some words " * int(1 + dice.expovariate(1 / 8))
    at = _START + timedelta(days=_DAYS * share, milliseconds=dice.randrange(4) * 250)
    metadata = {"dataset": "generated", "system": dice.choice(_SYSTEMS), "rater": f"rater{dice.randrange(40)}"}
    return {**score, "source": source, "metadata": metadata, "timestamp": at.isoformat(timespec="seconds")}


def _value(dice: random.Random, name: str, data_type: str) -> bool | float | str:
    match data_type:
        case "BOOLEAN":
            return dice.random() < 0.7
        case "NUMERIC":
            return round(dice.lognormvariate(1, 1), 2)
    return dice.choice(_CATEGORIES if name == "error_category" else _SEVERITIES)
