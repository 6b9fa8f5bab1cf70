"""Make the pure parts' inputs: one request decoded, rules, entries and batches, with what matters to the test said."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from services.ingest.decode import Decoded, Refused, decode
from services.worker.batch import Batch, open_entry
from shared.configs import Rules, ScoreConfig, rules_of
from shared.envelope import Envelope, encode
from shared.queue import Entry
from shared.scores import DataType, Score
from tests.builders import a_score

NOW = datetime(2025, 11, 20, 12, tzinfo=UTC)
PROJECT = UUID("00000000-0000-7000-8000-000000000001")
OTHER_PROJECT = UUID("00000000-0000-7000-8000-000000000002")
CONFIG = UUID("00000000-0000-7000-8000-0000000000c1")


def numbered_ids(n: int) -> list[str]:
    return [f"made-{i}" for i in range(n)]


def a_body(*items: bytes | dict[str, Any]) -> bytes:
    """The bytes of a request; an item given as bytes goes in as it is."""
    parts = (item if isinstance(item, bytes) else msgspec.json.encode(item) for item in items)
    return b'{"scores":[' + b",".join(parts) + b"]}"


def decoded(*items: bytes | dict[str, Any], now: datetime = NOW, scores_max: int = 1000) -> Decoded:
    return decode(a_body(*items), now, numbered_ids, scores_max)


def refusal_of(item: bytes | dict[str, Any]) -> Refused:
    """Why ingest refuses `item`, which stands between two good neighbours that must both get through."""
    result = decoded(a_score(id="before"), item, a_score(id="after"))
    assert (result.ids, result.indexes) == (["before", "after"], [0, 2])
    [refused] = result.refused
    assert refused.index == 1
    return refused


def is_accepted(item: bytes | dict[str, Any]) -> bool:
    return not decoded(item).refused


def the_score(**fields: Any) -> Score:
    return msgspec.convert(a_score(**fields), Score)


def a_config(**fields: Any) -> ScoreConfig:
    """An active NUMERIC config "relevance" from 0 to 1, but for what `fields` say."""
    bounds = {"min_value": 0.0, "max_value": 1.0} if fields.get("data_type", DataType.NUMERIC) == "NUMERIC" else {}
    said = {
        "id": CONFIG, "project_id": PROJECT, "name": "relevance", "data_type": DataType.NUMERIC,
        "created_at": NOW, "updated_at": NOW,
    }  # fmt: skip
    return ScoreConfig(**{**said, **bounds, **fields})


def rules(*configs: ScoreConfig) -> Rules:
    return rules_of(list(configs))


def an_envelope(*scores: dict[str, Any], **fields: Any) -> Envelope:
    said: dict[str, Any] = {
        "request_id": "r1", "project_id": PROJECT, "received_at": NOW, "scores": msgspec.json.encode(scores),
        "ids": [score.get("id", f"made-{at}") for at, score in enumerate(scores)],
    }  # fmt: skip
    return Envelope(**{**said, **fields})


def a_batch(*scores: dict[str, Any], entry_id: str = "1000-0", stream: int = 0, **fields: Any) -> Batch:
    batch = open_entry(Entry(stream, entry_id, encode(an_envelope(*scores, **fields))))
    assert isinstance(batch, Batch)
    return batch
