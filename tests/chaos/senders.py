"""Senders in a thread of their own: they post at a rate, write down every answer, and try again what got none."""

import asyncio
import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Self

import httpx

from tests.chaos.house import House
from tests.chaos.ledger import ProjectLedger
from tests.chaos.manager import Manager
from tests.chaos.writes import Request, Writer
from tests.stack import Project

SENDERS = 12
SIZES = (1, 1, 10, 30, 60, 100)
SIZE_MEAN = sum(SIZES) / len(SIZES)
# An impatient sender gives up on requests that go through later: what they leave behind is legal, but at most once.
IMPATIENCE_SECONDS = (0.5, 2.0, 10.0)
AGAIN_SHARE, AGAIN_MAX = 0.7, 40


@dataclass(slots=True)
class Answer:
    at: float
    seconds: float
    outcome: str  # a status, or the name of what went wrong


@dataclass
class Load:
    """`with Load(...)`: the senders post until the end of the block."""

    house: House
    seed: int
    rate: float
    impatience_seconds: tuple[float, ...] = IMPATIENCE_SECONDS
    ledgers: list[ProjectLedger] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    answers: list[Answer] = field(default_factory=list)
    round_trips: list[tuple[float, float]] = field(default_factory=list)  # a canary's: sent at, readable at
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ledgers = [ProjectLedger() for _ in self.house.projects]
        self.manager = Manager(self.house, self.seed)
        self._numbers = itertools.count(1)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="senders")
        self._failure: BaseException | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            asyncio.run(self._all())
        except BaseException as error:  # noqa: BLE001 - raised again where the block ends
            self._failure = error

    async def _all(self) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(SENDERS):
                group.create_task(self._sender(number))
            group.create_task(self._canary())
            group.create_task(self.manager.run(self._stop.is_set))
            group.create_task(self._watch_receipts())

    async def _sender(self, number: int) -> None:
        chance = random.Random(f"{self.seed} sender {number}")
        place = number % len(self.house.projects)
        ledger, writer = self.ledgers[place], Writer(f"s{number}", self.seed, self._numbers)
        pause = SIZE_MEAN * SENDERS / self.rate
        timeout = self.impatience_seconds[number % len(self.impatience_seconds)]
        async with self._client(self.house.projects[place], timeout) as client:
            due = time.monotonic()
            while not self._stop.is_set():
                await self._send(client, writer.request(chance.choice(SIZES)), ledger, chance)
                due = max(due + pause, time.monotonic() - 5 * pause)  # after an outage it catches up a little
                await asyncio.sleep(max(0.0, due - time.monotonic()))

    def _client(self, project: Project, timeout: float) -> httpx.AsyncClient:
        return httpx.AsyncClient(headers={**project.headers, "Content-Type": "application/json"}, timeout=timeout)

    async def _send(
        self, client: httpx.AsyncClient, request: Request, ledger: ProjectLedger, chance: random.Random
    ) -> bool:
        """Until it is acknowledged, or given up. Whether it was acknowledged."""
        with_ids = all(write.id is not None for _, write in request.good)
        for _ in range(AGAIN_MAX):
            if await self._post(client, request, ledger, chance):
                return True
            if not with_ids or chance.random() > AGAIN_SHARE:
                return False
            await asyncio.sleep(0.02 + 0.1 * chance.random())
        return False

    async def _post(
        self, client: httpx.AsyncClient, request: Request, ledger: ProjectLedger, chance: random.Random
    ) -> bool:
        url = chance.choice(self.house.ingest_urls) + "/v1/scores"
        started = time.monotonic()
        try:
            answer = await client.post(url, content=request.body)
            outcome = str(answer.status_code)
        except httpx.HTTPError as error:
            answer, outcome = None, type(error).__name__
        self.outcomes[outcome] += 1
        self.answers.append(Answer(started, time.monotonic() - started, outcome))
        if answer is not None and outcome in ("202", "207"):
            self._check_status(request, answer.json(), outcome, ledger)
            ledger.acknowledge(request, answer.json()["batch_id"], answer.json()["ids"])
            return True
        if outcome == "422" and not request.good:
            return True
        if not _cannot_be_queued(outcome, answer):
            ledger.leave_open(request)
        if answer is not None and outcome not in ("429", "503"):
            self.problems.append(f"ingest answered {outcome}: {answer.text[:200]}")
        return False

    def _check_status(self, request: Request, body: dict[str, Any], outcome: str, ledger: ProjectLedger) -> None:
        malformed = [index for index, write in enumerate(request.writes) if write is None]
        if (outcome == "207") != bool(malformed) or [one["index"] for one in body["errors"]] != malformed:
            ledger.problems.append(f"batch {body['batch_id']}: {outcome} with errors {body['errors']}")

    async def _canary(self) -> None:
        """One score after the other, each sent until acknowledged and then read until it is there."""
        chance = random.Random(f"{self.seed} canary")
        project, ledger = self.house.projects[0], self.ledgers[0]
        writer = Writer("canary", self.seed, self._numbers)
        patience = max(2.0, min(self.impatience_seconds))
        async with self._client(project, patience) as client:
            while not self._stop.is_set():
                request = writer.request(1)
                good = [write for _, write in request.good if write.id and write.code is None]
                if not good:
                    continue
                started = time.monotonic()
                await self._until(lambda: self._post(client, request, ledger, chance))  # noqa: B023 - called at once
                await self._until(lambda: self._is_readable(client, str(good[0].id)))  # noqa: B023
                if not self._stop.is_set():
                    self.round_trips.append((started, time.monotonic()))
                await asyncio.sleep(0.05)

    async def _until(self, works: Callable[[], Awaitable[bool]]) -> None:
        """Try again and again, or until the end."""
        while not (self._stop.is_set() or await works()):  # noqa: ASYNC110 - what is awaited is in other processes
            await asyncio.sleep(0.02)

    async def _is_readable(self, client: httpx.AsyncClient, score_id: str) -> bool:
        try:
            return (await client.get(f"{self.house.api_url}/v1/scores/{score_id}", timeout=2.0)).status_code == 200
        except httpx.HTTPError:
            return False

    async def _watch_receipts(self) -> None:
        """A batch that was acknowledged is known from then on, whatever is broken: never a 404."""
        chance = random.Random(f"{self.seed} watch")
        async with httpx.AsyncClient(timeout=2.0) as client:
            while not self._stop.is_set():
                await asyncio.sleep(0.03)
                place = chance.randrange(len(self.ledgers))
                recent = self.ledgers[place].some_batches(50)
                if not recent:
                    continue
                url = f"{self.house.api_url}/v1/batches/{chance.choice(recent).batch_id}"
                try:
                    answer = await client.get(url, headers=self.house.projects[place].headers)
                except httpx.HTTPError:
                    continue
                if answer.status_code not in (200, 503):
                    self.problems.append(f"a receipt answered {answer.status_code}: {answer.text[:200]}")


def _cannot_be_queued(outcome: str, answer: httpx.Response | None) -> bool:
    """Whether it is certain that nothing of the request is in the queue or on its way there."""
    if outcome in ("ConnectError", "ConnectTimeout", "429"):
        return True
    return answer is not None and outcome == "503" and answer.json()["code"] == "queue_full"
