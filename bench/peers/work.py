"""The work that every store is given: judgements of spans, and the bodies in which each store wants them. Pure.

No two judgements share span and name, so that each must become a row of its own, and a row that is there twice or not
at all can be told. Each store gets the same facts: span, name, number, who judged, a comment now and then.
"""

import itertools
import random
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

T = TypeVar("T")

NAMES = tuple(f"measure_{number}" for number in range(10))
BATCH = 100
_SPANS_PER_REQUEST = 500
_STARTED, _ENDED = "2026-01-01T12:00:00+00:00", "2026-01-01T12:00:01+00:00"

CONFIGS: list[dict[str, object]] = [
    {"name": name, "data_type": "NUMERIC", "min_value": 0, "max_value": 1} for name in NAMES
]


class Judgement(Struct, frozen=True):
    span_id: str
    name: str
    value: float
    rater: str
    comment: str | None


def judgements(count: int) -> list[Judgement]:
    """`count` judgements, the same every time: of every span one under each name, span after span."""
    dice = random.Random(150_032)
    keys = itertools.product(span_ids(count), NAMES)
    return [_judgement(dice, span_id, name) for span_id, name in itertools.islice(keys, count)]


def span_ids(count: int) -> list[str]:
    """The spans that `count` judgements are about."""
    return [f"{number + 1 << 32:016x}" for number in range(-(-count // len(NAMES)))]


def score_bodies(work: Sequence[Judgement]) -> Iterator[bytes]:
    """For Assay's POST /v1/scores."""
    return (msgspec.json.encode({"scores": list(map(_score, batch))}) for batch in _batches(work, BATCH))


def annotation_bodies(work: Sequence[Judgement]) -> Iterator[bytes]:
    """For Phoenix' POST /v1/span_annotations."""
    return (msgspec.json.encode({"data": list(map(_annotation, batch))}) for batch in _batches(work, BATCH))


def span_bodies(ids: Sequence[str]) -> Iterator[bytes]:
    """For Phoenix' POST /v1/projects/{name}/spans: it annotates only spans that it knows."""
    return (msgspec.json.encode({"data": list(map(_span, batch))}) for batch in _batches(ids, _SPANS_PER_REQUEST))


def _judgement(dice: random.Random, span_id: str, name: str) -> Judgement:
    comment = "a remark of some words " * int(1 + dice.expovariate(1 / 8)) if dice.random() < 0.25 else None
    return Judgement(span_id, name, round(dice.random(), 3), f"rater{dice.randrange(40)}", comment)


def _score(of: Judgement) -> dict[str, Any]:
    score = {"span_id": of.span_id, "name": of.name, "value": of.value, "source": "LLM_JUDGE"}
    return score | {"metadata": {"rater": of.rater}} | ({"comment": of.comment} if of.comment else {})


def _annotation(of: Judgement) -> dict[str, Any]:
    result = {"score": of.value} | ({"explanation": of.comment} if of.comment else {})
    annotation = {"span_id": of.span_id, "name": of.name, "annotator_kind": "LLM", "result": result}
    return annotation | {"metadata": {"rater": of.rater}}


def _span(span_id: str) -> dict[str, Any]:
    return {
        "name": "answer",
        "context": {"trace_id": f"{span_id:0>32}", "span_id": span_id},
        "span_kind": "LLM",
        "start_time": _STARTED,
        "end_time": _ENDED,
        "status_code": "OK",
    }


def _batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while batch := list(itertools.islice(iterator, size)):
        yield batch
