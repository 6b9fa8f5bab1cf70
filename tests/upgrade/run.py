"""One run: the previous release under load; to this one, back again, and to this one in the other order; the audit."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import httpx

from tests.chaos.audit import Findings, audit, drain
from tests.chaos.managed_audit import audit_managed
from tests.chaos.senders import Load
from tests.upgrade.house import UpgradeHouse
from tests.upgrade.release import NEW, Release

# Workers first is what the docs ask for: they understand all that the others may send them. The other order must lose
# nothing either.
WORKERS_FIRST = ("worker", "api", "ingest")
WORKERS_LAST = ("ingest", "api", "worker")
PATIENCE_SECONDS = 120.0
ROUND_TRIPS = 2
SENDERS_PATIENCE_SECONDS = (30.0,)  # nobody gives up: what got no answer got none for another reason


@dataclass(frozen=True)
class Result:
    seconds: float
    migrated: str
    findings: Findings
    outcomes: Counter[str]
    manager_steps: Counter[str]
    steps: list[str]
    errors_logged: Counter[str]


def run(previous: Release, *, seed: int, rate: float, side_by_side: int = 1) -> Result:
    """`side_by_side`: for how many times two round trips each mixture of the releases is kept."""
    with UpgradeHouse(previous) as house:
        load = Load(house, seed, rate, impatience_seconds=SENDERS_PATIENCE_SECONDS)
        started = time.monotonic()
        with load:
            roll_out = RollOut(house, load, side_by_side)
            roll_out.await_traffic()
            migrated = house.migrate()
            roll_out.to(NEW, WORKERS_FIRST)
            roll_out.to(previous, WORKERS_LAST)
            roll_out.to(NEW, WORKERS_LAST)
            house.migrate("--post")
            roll_out.await_traffic()
            roll_out.refuse_revoked_keys()
        ended = time.monotonic()
        asyncio.run(drain(house))
        findings = asyncio.run(audit(house, load.ledgers))
        asyncio.run(audit_managed(house, load.manager, findings))
        for problem in load.problems:
            findings.problem(problem)
        errors = house.errors_logged()
        if findings.problem_count:
            findings.problem(f"the services' logs are kept in {house.keep_logs()}")
    return Result(ended - started, migrated, findings, load.outcomes, load.manager.steps, roll_out.steps, errors)


class RollOut:
    """Replaces one process after the other. Through each mixture of the releases, scores go the whole way."""

    def __init__(self, house: UpgradeHouse, load: Load, side_by_side: int) -> None:
        self._house, self._load = house, load
        self._round_trips = ROUND_TRIPS * side_by_side
        self._started = time.monotonic()
        self.steps: list[str] = []

    def to(self, release: Release, kinds: Sequence[str]) -> None:
        for kind in kinds:
            with self._house.side_by_side(kind, release):
                self.await_traffic()
            self.await_traffic()
            self.steps.append(f"{kind} {release.name} after {time.monotonic() - self._started:.0f} s")

    def await_traffic(self) -> None:
        """Until some scores that were sent from now on were acknowledged and are readable."""
        now = time.monotonic()
        trips = self._load.round_trips
        _wait(lambda: sum(sent > now for sent, _ in trips[-self._round_trips :]) >= self._round_trips, "scores")

    def refuse_revoked_keys(self) -> None:
        """Workers of the previous release take the mark off the key directory that says it is whole, without which
        nobody can say of a key that it is unknown. Once they are gone, a revoked key is refused in time."""
        owner = self._house.projects[0]
        made = httpx.post(f"{self._house.api_url}/v1/api-keys", headers=owner.headers, json=A_KEY, timeout=30)
        assert made.status_code == 201, made.text
        key = made.json()
        headers = {"Authorization": f"Bearer {key['key']}"}
        ingest = self._house.ingest_urls[0] + "/v1/scores"
        assert httpx.post(ingest, headers=headers, json=NONE, timeout=30).status_code != 401
        gone = httpx.delete(
            f"{self._house.api_url}/v1/api-keys/{key['api_key']['id']}", headers=owner.headers, timeout=30
        )
        assert gone.status_code in (200, 204), gone.text
        _wait(lambda: httpx.post(ingest, headers=headers, json=NONE, timeout=30).status_code == 401, "a refusal")


NONE: dict[str, list[object]] = {"scores": []}
A_KEY = {"name": "revoked at once", "scopes": ["scores:write"]}


def _wait(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {PATIENCE_SECONDS} s for {what}")
        time.sleep(0.05)  # what is awaited is in other processes
