"""The whole way: scores accepted and readable a second, beside one connection's bare COPY of the same rows."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager

import asyncpg
import httpx
from msgspec import Struct

from bench.bare_copy import Record, copy_bytes_seconds, copy_seconds, make_table, ready_bytes, stored_records
from bench.figures import Figure, Goal, Limit
from bench.house import House, Service
from bench.load import closed_load
from bench.plan import SCORES, Plan, in_turn
from bench.rows import bodies, with_ids
from bench.usage import CpuMeter
from bench.wire import post_requests

PART = "end to end"
# With four, each waits for its answer most of the time, and with it the machine; sixteen keep it busy.
CONNECTIONS, FEW_CONNECTIONS = 16, 4
STALLED_SECONDS = 60
_POLL_SECONDS = 0.02


class Whole(Struct, frozen=True):
    """The three services of a running Assay, the house they are in, and a connection of the bench's own."""

    house: House
    ingest: Service
    worker: Service
    api: Service
    connection: asyncpg.Connection

    @property
    def pids(self) -> dict[str, int]:
        return {service.name: service.pid for service in (self.ingest, self.worker, self.api)}


@asynccontextmanager
async def whole(plan: Plan, house: House | None = None) -> AsyncIterator[Whole]:
    """In the plan's house if no other is given."""
    house = house or plan.house
    with ExitStack() as stack:
        ingest, worker, api = (stack.enter_context(house.service(name)) for name in ("ingest", "worker", "api"))
        house.adopt_configs(api, plan.rows.configs)
        connection = await asyncpg.connect(house.database_url)
        try:
            yield Whole(house, ingest, worker, api, connection)
        finally:
            await connection.close()


class Sent(Struct, frozen=True):
    """One run. `cpu` is in seconds, by process."""

    accepted_per_second: float
    readable_per_second: float
    transaction_scores: float
    cpu: dict[str, float]


async def send_all(plan: Plan, assay: Whole, requests: list[bytes], connections: int = CONNECTIONS) -> Sent:
    """Send every row once and wait until every one can be read. The tables are emptied before."""
    await assay.house.empty(assay.connection)
    written, written_in = _transactions(assay.worker)
    meter = CpuMeter({**assay.pids, **assay.house.server_pids})
    started = time.perf_counter()
    outcome = await closed_load(assay.ingest.address, iter(requests), connections=connections)
    if not outcome.is_clean:
        raise RuntimeError(f"ingest answered {dict(outcome.statuses)}, {outcome.lost} lost")
    count = len(plan.rows.scores)
    await until_readable(assay.connection, count)
    seconds = time.perf_counter() - started
    cpu = meter.used()
    check_aggregate(assay, count)
    scores, transactions = _transactions(assay.worker)
    return Sent(count / outcome.seconds, count / seconds, (scores - written) / (transactions - written_in), cpu)


async def until_readable(connection: asyncpg.Connection, count: int) -> None:
    """Return once the receipts count `count` scores: they are written in the transaction that writes the scores."""
    await until_done(connection, "SELECT coalesce(sum(stored), 0) FROM batches", count)


async def until_done(connection: asyncpg.Connection, question: str, count: int) -> None:
    """Return once the answer is `count`."""
    done, moved_at = 0, time.perf_counter()
    while done < count:
        await asyncio.sleep(_POLL_SECONDS)
        now_done = await connection.fetchval(question)
        if now_done != done:
            done, moved_at = now_done, time.perf_counter()
        elif time.perf_counter() - moved_at > STALLED_SECONDS:
            raise RuntimeError(f"{count - done} of {count} did not become readable")


def check_aggregate(assay: Whole, count: int) -> None:
    """What the api says must be what was sent: a figure for something that is wrong is no figure."""
    headers = {"Authorization": f"Bearer {assay.house.credentials.api_key}"}
    answer = httpx.get(f"{assay.api.url}/v1/scores/aggregate", headers=headers, trust_env=False, timeout=30)
    found = sum(item["count"] for item in answer.json()["items"])
    if found != count:
        raise RuntimeError(f"the aggregate counts {found} scores of {count}")


async def measure(plan: Plan) -> list[Figure]:
    requests = {"few": plan.batches_of(100), "many": plan.batches_of(100), "own ids": _with_own_ids(plan)}
    async with whole(plan) as assay:
        first = await send_all(plan, assay, requests["many"])  # warm-up, and the rows for COPY
        records, ready = await stored_records(assay.connection), await ready_bytes(assay.connection)
        await make_table(assay.connection)
        size = round(first.transaction_scores)
        sent: dict[str, list[Sent]] = {kind: [] for kind in requests}
        copied: dict[str, list[float]] = {"small": [], "large": [], "ready": []}
        for number in range(plan.rounds):
            for name in in_turn([*requests, *copied], number):
                if name in sent:
                    connections = FEW_CONNECTIONS if name == "few" else CONNECTIONS
                    sent[name].append(await send_all(plan, assay, requests[name], connections))
                else:
                    copied[name].append(await _copied_per_second(assay.connection, name, records, ready, size))
    return _figures(plan, sent, copied, size)


def _with_own_ids(plan: Plan) -> list[bytes]:
    """As the SDK sends them: it makes an id at the call."""
    return post_requests(SCORES, plan.house.credentials.api_key, bodies(with_ids(plan.rows.scores), 100))


async def _copied_per_second(
    connection: asyncpg.Connection, name: str, records: list[Record], ready: bytes, size: int
) -> float:
    match name:
        case "ready":
            return len(records) / await copy_bytes_seconds(connection, ready)
        case "large":
            return len(records) / await copy_seconds(connection, records, len(records))
    return len(records) / await copy_seconds(connection, records, size)


def _figures(plan: Plan, sent: dict[str, list[Sent]], copied: dict[str, list[float]], size: int) -> list[Figure]:
    many, few, own_ids = sent["many"], sent["few"], sent["own ids"]
    readable = [run.readable_per_second for run in many]
    large = Limit("one large COPY", copied["large"])
    bare = Limit(f"bare COPY, {size:,} a transaction", copied["small"])

    def figure(name: str, runs: list[float], limit: Limit | None = None) -> Figure:
        return Figure(part=PART, name=name, unit="scores/s", runs=runs, limit=limit)

    return [
        Figure(
            part=PART,
            name=f"readable, {plan.rows.kind} data, batches of 100, {CONNECTIONS} connections",
            unit="scores/s",
            runs=readable,
            limit=large,
            goal=Goal("share", 0.7),
            headline="end to end: accepted and readable",
        ),
        figure("the same", readable, bare),
        figure("the same", readable, Limit("one large COPY of ready bytes", copied["ready"])),
        figure("accepted meanwhile", [run.accepted_per_second for run in many]),
        figure("readable, ids of the sender's own", [run.readable_per_second for run in own_ids], large),
        figure(f"readable, {FEW_CONNECTIONS} connections", [run.readable_per_second for run in few], large),
        figure(f"accepted meanwhile, {FEW_CONNECTIONS} connections", [run.accepted_per_second for run in few]),
        *(_cpu(plan, f"CPU of {name}", [run.cpu[name] for run in many]) for name in many[0].cpu),
        _cpu(plan, "CPU of all of them", [sum(run.cpu.values()) for run in many]),
        _cpu(plan, "CPU of all of them, ids of the sender's own", [sum(run.cpu.values()) for run in own_ids]),
        _cpu(plan, f"CPU of all of them, {FEW_CONNECTIONS} connections", [sum(run.cpu.values()) for run in few]),
    ]


def _cpu(plan: Plan, name: str, seconds: list[float]) -> Figure:
    return Figure(part=PART, name=name, unit="µs/score", runs=[run / len(plan.rows.scores) * 1e6 for run in seconds])


def _transactions(worker: Service) -> tuple[float, float]:
    """(scores, transactions) that the worker has written so far."""
    name = "assay_worker_transaction_scores"
    return worker.metric(f"{name}_sum"), worker.metric(f"{name}_count")
