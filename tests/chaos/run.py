"""One run: a house, senders, a monkey; then peace, a drain and the audit."""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass

from tests.chaos.audit import Findings, audit, drain
from tests.chaos.house import INGESTS, PROJECTS, House
from tests.chaos.managed_audit import audit_managed
from tests.chaos.monkey import Monkey, plan
from tests.chaos.senders import Load

WARM_UP_SECONDS = 1.0


@dataclass(frozen=True)
class Result:
    seed: int
    storm_seconds: float
    drain_seconds: float
    scores_per_second: float
    findings: Findings
    struck: Counter[tuple[str, str]]
    died_alone: Counter[str]
    recoveries: dict[tuple[str, str], float]
    outcomes: Counter[str]
    ghost_requests: int
    bulk_batches: int
    manager_steps: Counter[str]
    errors_logged: Counter[str]
    died_how: list[str]

    @property
    def is_good(self) -> bool:
        return not self.findings.problem_count


def run(*, seed: int, kills: int, rate: float) -> Result:
    with House(settings=_flood_settings(rate)) as house:
        monkey, load = Monkey(house), Load(house, seed, rate)
        started = time.monotonic()
        with load:
            time.sleep(WARM_UP_SECONDS)
            monkey.carry_out(plan(list(house.parts()), kills, seed))
            monkey.raise_the_dead()
            house.wait_ready()
            _await_canary(load)
        ended = time.monotonic()
        asyncio.run(drain(house))
        drained = time.monotonic()
        findings = asyncio.run(audit(house, load.ledgers))
        asyncio.run(audit_managed(house, load.manager, findings))
        errors_logged = house.errors_logged()
        for problem in (*monkey.problems, *load.problems):
            findings.problem(problem)
        if findings.problem_count:
            findings.problem(f"the services' logs are kept in {house.keep_logs()}")
    return Result(
        seed=seed,
        storm_seconds=ended - started,
        drain_seconds=drained - ended,
        scores_per_second=sum(ledger.acknowledged_writes for ledger in load.ledgers) / (ended - started),
        findings=findings,
        struck=monkey.struck,
        died_alone=monkey.died_alone,
        recoveries=_recoveries(monkey, load),
        outcomes=load.outcomes,
        ghost_requests=sum(ledger.ghost_requests for ledger in load.ledgers),
        bulk_batches=sum(_is_bulk(batch.batch_id) for ledger in load.ledgers for batch in ledger.batches),
        manager_steps=load.manager.steps,
        errors_logged=errors_logged,
        died_how=monkey.died_how,
    )


def _flood_settings(rate: float) -> dict[str, str]:
    """So that projects flood when they catch up after an outage, and come back from it."""
    share = 1.2 * rate / len(PROJECTS) / INGESTS
    return {"ASSAY_FLOOD_SCORES_PER_SECOND": f"{share:.0f}", "ASSAY_FLOOD_BURST": f"{share:.0f}"}


def _is_bulk(batch_id: str) -> bool:
    """Bulk streams have odd numbers."""
    return int(batch_id.rpartition("-")[2]) % 2 == 1


def _await_canary(load: Load) -> None:
    """Every blow is followed by a round trip: only then its recovery is known."""
    calm_since = time.monotonic()
    while not any(sent > calm_since for sent, _ in load.round_trips[-3:]):
        time.sleep(0.05)
        if time.monotonic() > calm_since + 120:
            raise TimeoutError("no score came through for two minutes after the last fault")


def _recoveries(monkey: Monkey, load: Load) -> dict[tuple[str, str], float]:
    """By part and blow: the longest time from the blow until a score sent after it was acknowledged and readable."""
    longest: dict[tuple[str, str], float] = {}
    for struck_at, part, blow in monkey.blows:
        readable_at = next(readable for sent, readable in load.round_trips if sent > struck_at)
        longest[part, blow] = max(longest.get((part, blow), 0.0), readable_at - struck_at)
    return longest
