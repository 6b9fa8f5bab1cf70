"""After the storm: read everything back and hold it against the ledger. Every difference is a problem with words."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import httpx
from redis import Redis

from services.worker.jobs.verify_rollups import verify_rollups
from shared.postgres import open_pool
from tests.chaos.aggregates import differences_of_aggregates
from tests.chaos.house import House
from tests.chaos.ledger import Acknowledged, Fate, ProjectLedger
from tests.stack import Project
from tests.waiting import wait_until

DRAIN_SECONDS = 300
AT_ONCE = 16
SINGLE_READS = 400  # per project
PROBLEMS_TOLD_MAX = 20


@dataclass
class Findings:
    acknowledged: int = 0
    stored: int = 0
    rejected: int = 0
    lost: int = 0
    doubled: int = 0
    unacknowledged_stored: int = 0
    batches: int = 0
    rollup_differences: int = 0
    problems: list[str] = field(default_factory=list)
    problem_count: int = 0

    def problem(self, text: str) -> None:
        self.problem_count += 1
        if len(self.problems) < PROBLEMS_TOLD_MAX:
            self.problems.append(text)


async def drain(house: House) -> None:
    """Wait until no stream of the queue holds anything. With every service running that is a matter of seconds."""
    redis = Redis.from_url(house.redis.url)
    await wait_until(lambda: _is_drained(redis), what="an empty queue", patience_seconds=DRAIN_SECONDS)
    redis.close()


def _is_drained(redis: "Redis") -> bool:
    streams = [key for key in redis.scan_iter(match="assay:*", _type="stream") if b"dead" not in key]
    return all(redis.xlen(stream) == 0 for stream in streams)


async def audit(house: House, ledgers: list[ProjectLedger]) -> Findings:
    findings = Findings()
    for project, ledger in zip(house.projects, ledgers, strict=True):
        async with httpx.AsyncClient(base_url=house.api_url, headers=project.headers, timeout=60) as api:
            rows = await _rows(api, findings)
            _check_ids(ledger, rows, findings)
            await _check_single_reads(api, ledger, rows, findings)
            await _check_receipts(api, ledger, findings)
            for difference in differences_of_aggregates(rows.values(), await _aggregates(api)):
                findings.problem(f"{project.id}: {difference}")
            await _check_counts(house, project, len(rows), findings)
        for problem in ledger.problems:
            findings.problem(problem)
    await _check_rollups(house, findings)
    _check_dead_letters(house, findings)
    return findings


async def _rows(api: httpx.AsyncClient, findings: Findings) -> dict[str, dict[str, Any]]:
    """Every score of the project, by paging through the list."""
    rows: dict[str, dict[str, Any]] = {}
    marks: Counter[str] = Counter()
    async for item in items_of(api, "/v1/scores"):
        marks[item["comment"]] += 1
        if item["id"] in rows or marks[item["comment"]] > 1:
            findings.doubled += 1
            findings.problem(f"{item['id']} ({item['comment']}) is there twice")
        rows[item["id"]] = {name: item[name] for name in ("name", "data_type", "value", "comment")}
    return rows


async def items_of(api: httpx.AsyncClient, path: str) -> AsyncIterator[dict[str, Any]]:
    cursor: dict[str, str] = {}
    while True:
        page = (await api.get(path, params={"limit": 1000, **cursor})).raise_for_status().json()
        for item in page["items"]:
            yield item
        if page["next_cursor"] is None:
            return
        cursor = {"cursor": page["next_cursor"]}


def _check_ids(ledger: ProjectLedger, rows: dict[str, dict[str, Any]], findings: Findings) -> None:
    for score_id, fate in ledger.fates.items():
        findings.acknowledged += fate.was_acknowledged
        row = rows.get(score_id)
        if row is None and fate.last is not None:
            findings.lost += 1
            findings.problem(f"{score_id} was acknowledged and is not there: {fate}")
        elif row is None:
            findings.rejected += fate.was_acknowledged
        else:
            findings.stored += fate.was_acknowledged
            findings.unacknowledged_stored += not fate.was_acknowledged
            _check_value(score_id, fate, row, findings)
    for score_id in rows.keys() - ledger.fates.keys():
        findings.unacknowledged_stored += 1
        if rows[score_id]["comment"] not in ledger.ghost_marks:
            findings.problem(f"{score_id} was never sent: {rows[score_id]}")


def _check_value(score_id: str, fate: Fate, row: dict[str, Any], findings: Findings) -> None:
    if row["comment"] not in fate.legal_marks():
        findings.lost += fate.last is not None
        findings.problem(f"{score_id} holds {row['comment']}, legal is one of {fate.legal_marks()}: {fate}")
        return
    legal = [write for write in (*fate.ghosts, fate.last) if write is not None and write.mark == row["comment"]]
    if any((write.name, write.value) != (row["name"], row["value"]) for write in legal):
        findings.problem(f"{score_id} holds {row}, sent was {legal}")


async def _check_single_reads(
    api: httpx.AsyncClient, ledger: ProjectLedger, rows: dict[str, dict[str, Any]], findings: Findings
) -> None:
    ids = list(ledger.fates)
    rejected = [score_id for score_id in ids if ledger.fates[score_id].was_acknowledged and score_id not in rows]
    chosen = [*ids[:: max(1, len(ids) // SINGLE_READS)], *rejected[:SINGLE_READS]]

    async def check(score_id: str) -> None:
        answer = await api.get(f"/v1/scores/{score_id}")
        body, fate = answer.json(), ledger.fates[score_id]
        if score_id in rows:
            if answer.status_code != 200 or body["comment"] != rows[score_id]["comment"]:
                findings.problem(f"GET {score_id}: {answer.status_code} {answer.text[:200]}")
        elif answer.status_code != 404 or (fate.rejected and body["code"] != "score_rejected"):
            findings.problem(f"GET {score_id}, which was rejected: {answer.status_code} {answer.text[:200]}")

    await _all_at_once(map(check, chosen))


async def _check_receipts(api: httpx.AsyncClient, ledger: ProjectLedger, findings: Findings) -> None:
    async def check(batch: Acknowledged) -> None:
        answer = await api.get(f"/v1/batches/{batch.batch_id}")
        receipt = answer.json()
        if answer.status_code != 200 or receipt["status"] != "done":
            findings.problem(f"receipt of {batch.batch_id}: {answer.status_code} {answer.text[:200]}")
            return
        counts = [receipt[name] for name in ("stored", "replaced", "unchanged", "rejected")]
        told = {(one["index"], one["id"], one["code"]) for one in receipt["rejections"]}
        if sum(counts) != batch.accepted or min(counts) < 0 or len(told) != receipt["rejected"]:
            findings.problem(f"receipt of {batch.batch_id} counts {counts}, accepted were {batch.accepted}")
        if any(not _is_overtaken(one, ledger) for one in batch.rejections ^ told):
            findings.problem(f"receipt of {batch.batch_id} rejects {told}, the model {set(batch.rejections)}")

    findings.batches += len(ledger.batches)
    await _all_at_once(map(check, ledger.batches))


def _is_overtaken(rejection: tuple[int, str, str], ledger: ProjectLedger) -> bool:
    """A score that only Postgres would refuse is never shown to it when a newer one of its id came in the meantime."""
    return rejection[2] == "storage_error" and bool(ledger.fates[rejection[1]].legal_marks())


async def _all_at_once(checks: Any) -> None:
    gate = asyncio.Semaphore(AT_ONCE)

    async def behind_gate(check: Any) -> None:
        async with gate:
            await check

    await asyncio.gather(*map(behind_gate, checks))


async def _aggregates(api: httpx.AsyncClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await api.get("/v1/scores/aggregate")).raise_for_status().json()["items"]
    return found


async def _check_counts(house: House, project: Project, rows: int, findings: Findings) -> None:
    """Every row was stored by one batch and one only: what all receipts say was stored is what is there."""
    connection = await asyncpg.connect(house.postgres.url)
    stored = await connection.fetchval("SELECT coalesce(sum(stored), 0) FROM batches WHERE project_id = $1", project.id)
    await connection.close()
    if stored != rows:
        findings.problem(f"{project.id}: the receipts say {stored} were stored, {rows} are there")


async def _check_rollups(house: House, findings: Findings) -> None:
    pool = await open_pool(house.postgres.url, size_max=1, statement_timeout_ms=300_000, name="chaos")
    differences = await verify_rollups(pool)
    await pool.close()
    findings.rollup_differences = len(differences)
    for difference in differences:
        findings.problem(f"a rollup differs: {difference}")


def _check_dead_letters(house: House, findings: Findings) -> None:
    with Redis.from_url(house.redis.url) as redis:
        for key in redis.scan_iter(match="assay:*dead*"):
            findings.problem(f"{redis.xlen(key)} dead letters in {key!r}")
