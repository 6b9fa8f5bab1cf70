"""What compressing batches in the queue costs and brings (ADR 13)."""

import itertools
import time
import zlib
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from uuid import UUID

import zstandard
from msgspec import Struct, msgpack

from bench.figures import Figure, Limit
from bench.house import Service
from bench.load import closed_load
from bench.parts.ingest import BATCH_CONNECTIONS, FEW_CONNECTIONS
from bench.plan import Plan, in_turn
from bench.usage import CpuMeter
from shared.envelope import Envelope, encode
from shared.ids import uuid7s

PART = "compression"
BATCHES = 200
KINDS = ["compressed", "plain"]


class Way(Struct, frozen=True):
    name: str
    pack: Callable[[bytes], bytes]
    unpack: Callable[[bytes], bytes]


WAYS = [
    Way("Zstandard 1", zstandard.ZstdCompressor(level=1).compress, zstandard.ZstdDecompressor().decompress),
    Way("Zstandard 3", zstandard.ZstdCompressor(level=3).compress, zstandard.ZstdDecompressor().decompress),
    Way("zlib 1", lambda data: zlib.compress(data, 1), zlib.decompress),
]


async def measure(plan: Plan) -> list[Figure]:
    starts = range(0, min(BATCHES * 100, len(plan.rows.scores)), 100)
    batches = [_array(plan.rows.scores[start : start + 100]) for start in starts]
    singles = [_array([score]) for score in plan.rows.scores[:BATCHES]]
    return [
        *_alone(plan, batches),
        _share("of one score, Zstandard 1", [len(WAYS[0].pack(single)) / len(single) for single in singles]),
        *_envelopes(batches),
        *await _in_ingest(plan),
    ]


def _array(scores: Sequence[bytes]) -> bytes:
    return b"[" + b",".join(scores) + b"]"


def _alone(plan: Plan, batches: list[bytes]) -> list[Figure]:
    """Each way by itself, in turn: time for a batch of 100, there and back, and what is left of it."""
    packed = {way.name: [way.pack(batch) for batch in batches] for way in WAYS}
    there: dict[str, list[float]] = {way.name: [] for way in WAYS}
    back: dict[str, list[float]] = {way.name: [] for way in WAYS}
    for number in range(plan.rounds):
        for way in in_turn(WAYS, number):
            there[way.name].append(_us_each(way.pack, batches))
            back[way.name].append(_us_each(way.unpack, packed[way.name]))
    return [
        figure
        for way in WAYS
        for figure in (
            _figure(f"{way.name}, a batch of 100: there", "µs", there[way.name]),
            _figure(f"{way.name}, a batch of 100: back", "µs", back[way.name]),
            _share(f"of a batch of 100, {way.name}", _shares(packed[way.name], batches)),
        )
    ]


def _us_each(work: Callable[[bytes], bytes], inputs: list[bytes]) -> float:
    started = time.perf_counter()
    for one in inputs:
        work(one)
    return (time.perf_counter() - started) / len(inputs) * 1e6


def _shares(packed: list[bytes], plain: list[bytes]) -> list[float]:
    return [len(small) / len(large) for small, large in zip(packed, plain, strict=True)]


def _envelopes(batches: list[bytes]) -> list[Figure]:
    """What lies in the queue for a batch of 100."""
    made = [_envelope(batch) for batch in batches]
    plain, compressed = [msgpack.encode(envelope) for envelope in made], [encode(envelope) for envelope in made]
    ids = [len(msgpack.encode(envelope.ids)) / 1000 for envelope in made]
    sizes = [len(data) / 1000 for data in compressed]
    return [
        _figure("an envelope of 100", "kB", sizes, Limit("plain", [len(data) / 1000 for data in plain])),
        _figure("the ids in it", "kB", ids, Limit("the envelope", sizes)),
    ]


def _envelope(batch: bytes) -> Envelope:
    return Envelope(
        request_id="r" * 36,
        traceparent=None,
        project_id=UUID(int=1),
        received_at=datetime.now(UTC),
        ids=uuid7s(100),
        indexes=None,
        scores=batch,
    )


async def _in_ingest(plan: Plan) -> list[Figure]:
    """Ingest as it is and ingest that never compresses, in turn."""
    requests = plan.full_batches_of(100)
    figures: list[Figure] = []
    with ExitStack() as stack:
        services = {
            "compressed": stack.enter_context(plan.house.service("ingest")),
            "plain": stack.enter_context(plan.house.service("plain", "bench.serve", ("plain", "uvicorn"))),
        }
        for connections in (BATCH_CONNECTIONS, FEW_CONNECTIONS):
            rates: dict[str, list[float]] = {kind: [] for kind in KINDS}
            redis: dict[str, list[float]] = {kind: [] for kind in KINDS}
            for number in range(plan.rounds):
                for kind in in_turn(KINDS, number):
                    rate, redis_us = await _rate(plan, services[kind], requests, connections)
                    rates[kind].append(rate)
                    redis[kind].append(redis_us)
            at = f"batches of 100, {connections} connections"
            plain = Limit("plain", rates["plain"])
            figures.append(_figure(f"ingest, {at}", "requests/s", rates["compressed"], plain))
            figures.append(
                _figure(f"CPU of Redis, {at}", "µs/score", redis["compressed"], Limit("plain", redis["plain"]))
            )
    return figures


async def _rate(plan: Plan, service: Service, requests: list[bytes], connections: int) -> tuple[float, float]:
    """(requests a second, CPU time of Redis in µs a score)."""
    await plan.house.empty_queue()
    meter = CpuMeter({"redis": plan.house.server_pids["redis"]})
    outcome = await closed_load(
        service.address, itertools.cycle(requests), connections=connections, seconds=plan.seconds
    )
    if not outcome.is_clean:
        raise RuntimeError(f"{service.name} answered {dict(outcome.statuses)}, {outcome.lost} lost")
    return outcome.accepted / outcome.seconds, meter.used()["redis"] / outcome.accepted / 100 * 1e6


def _share(name: str, shares: list[float]) -> Figure:
    return _figure(f"what is left {name}", "%", [100 * share for share in shares])


def _figure(name: str, unit: str, runs: list[float], limit: Limit | None = None) -> Figure:
    return Figure(part=PART, name=name, unit=unit, runs=runs, limit=limit)
