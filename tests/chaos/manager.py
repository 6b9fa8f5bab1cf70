"""A manager in a project of its own: sends, deletes, changes the rule and replays while everything is being broken.

One step after the other, each tried until it is known to be done, so that the plain model of the histories
(history_model.py) says what must be there in the end.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.chaos.history_model import Model, Sent
from tests.chaos.house import House

# Longer than any part stays frozen: a call that was given up is not carried out much later.
PATIENCE_SECONDS = 8.0
STEP_SECONDS_MAX = 180.0
NAMES = ("relevance", "safety", "thumbs", "latency")
IDS = 300
INSTANTS = ("2025-03-01T10:00:00Z", "2025-03-01T10:20:00Z", "2025-03-03T23:59:59.999999Z")


@dataclass
class Manager:
    house: House
    seed: int
    model: Model = field(default_factory=Model)
    sent: dict[str, Sent] = field(default_factory=dict)
    ghosts: set[str] = field(default_factory=set)  # ids that were sent without an answer
    steps: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    async def run(self, stopped: Callable[[], bool]) -> None:
        """Steps until `stopped`; the last one is finished."""
        self._chance = random.Random(f"{self.seed} manager")
        self._numbers = iter(range(1_000_000_000))
        async with httpx.AsyncClient(headers=self.house.managed.headers, timeout=PATIENCE_SECONDS) as self._client:
            try:
                config_id = await self._config_id()
                while not stopped():
                    await self._step(config_id)
            except TimeoutError as error:
                self.problems.append(str(error))

    async def _step(self, config_id: str) -> None:
        step = self._chance.choices(
            ("send", "delete one", "delete by ids", "delete by name", "change the rule", "replay"),
            (8, 2, 1, 1, 1, 2),
        )[0]
        match step:
            case "send":
                await self._send()
            case "delete one":
                await self._delete_one(self._an_id())
            case "delete by ids":
                await self._delete_by_ids([self._an_id() for _ in range(self._chance.randint(1, 20))])
            case "delete by name":
                await self._delete_by_name(self._chance.choice(NAMES))
            case "change the rule":
                await self._change_the_rule(config_id, self._chance.choice((1.0, 2.0, 4.0)))
            case "replay":
                await self._replay(self._chance.choice(NAMES))
        self.steps[step] += 1

    async def _send(self) -> None:
        """What got no answer may be in or not: its ids are never used again, and others are sent in their place."""
        while True:
            scores = [self._score() for _ in range(self._chance.choice((1, 5, 40)))]
            url = self._chance.choice(self.house.ingest_urls) + "/v1/scores"
            answer = await self._try("POST", url, {"scores": scores})
            if answer is not None and answer.status_code == 202:
                break
            self.ghosts.update(score["id"] for score in scores)
            await asyncio.sleep(0.1)
        body = answer.json()
        batch = self.sent[body["batch_id"]] = Sent(len(self.sent), body["batch_id"], body["ids"], scores)
        url = f"/v1/batches/{batch.batch_id}"
        await self._until_answered("GET", url, lambda receipt: receipt["status"] == "done", params={"wait": 5})
        self.model.persist([batch])

    def _score(self) -> dict[str, Any]:
        name = self._chance.choice(NAMES)
        values: dict[str, list[float | str | bool]] = {
            "relevance": [0.0, 0.25, 0.5, 1.0, 1.5, 3.0],
            "safety": ["safe", "unsafe", "perhaps"],
            "thumbs": [True, False],
            "latency": [0.3, 12, 1e300, 5e-324],
        }
        return {
            "id": self._an_id(),
            "name": name,
            "value": self._chance.choice(values[name]),
            "trace_id": f"t{self._chance.randint(1, 9)}",
            "timestamp": self._chance.choice(INSTANTS),
            "comment": f"m{next(self._numbers)}",
        }

    def _an_id(self) -> str:
        while (score_id := f"m{self._chance.randrange(IDS)}-{len(self.ghosts) // 50}") in self.ghosts:
            pass
        return score_id

    async def _delete_one(self, score_id: str) -> None:
        await self._until_answered("DELETE", f"/v1/scores/{score_id}", lambda _: True, accepted=(204, 404))
        self.model.delete(score_id, len(self.sent))

    async def _delete_by_ids(self, ids: list[str]) -> None:
        await self._run_job("/v1/scores/delete", {"ids": ids})
        for score_id in ids:
            self.model.delete(score_id, len(self.sent))

    async def _delete_by_name(self, name: str) -> None:
        await self._run_job("/v1/scores/delete", {"filter": {"name": [name]}})
        self.model.delete_by_name(name, len(self.sent))

    async def _replay(self, name: str) -> None:
        await self._run_job("/v1/rejected-scores/replay", {"filter": {"name": [name]}})
        self.model.replay(name, self.sent)

    async def _change_the_rule(self, config_id: str, maximum: float) -> None:
        await self._until_answered("PATCH", f"/v1/score-configs/{config_id}", lambda _: True, {"max_value": maximum})
        self.model.maximum = maximum

    async def _config_id(self) -> str:
        found = await self._until_answered("GET", "/v1/score-configs", lambda _: True, params={"name": "relevance"})
        config_id: str = found["items"][0]["id"]
        return config_id

    async def _run_job(self, path: str, body: dict[str, Any]) -> None:
        """Ask, and wait until no job is unfinished: one that was asked for without an answer can be among them."""
        await self._until_answered("POST", path, lambda _: True, body, accepted=(200, 202))

        def all_ended(jobs: dict[str, Any]) -> bool:
            return all(job["state"] in ("done", "failed") for job in jobs["items"])

        jobs = await self._until_answered("GET", "/v1/jobs", all_ended, params={"limit": 5})
        if any(job["state"] == "failed" for job in jobs["items"]):
            self.problems.append(f"a job failed: {jobs['items']}")

    async def _until_answered(
        self,
        method: str,
        path: str,
        is_enough: Callable[[Any], bool],
        body: dict[str, Any] | None = None,
        *,
        params: dict[str, Any] | None = None,
        accepted: tuple[int, ...] = (200,),
    ) -> Any:
        """Call the api until it answers so. A refusal other than "try later" is a problem."""
        deadline = time.monotonic() + STEP_SECONDS_MAX
        while True:
            answer = await self._try(method, self.house.api_url + path, body, params)
            if answer is not None and answer.status_code in accepted:
                content = answer.json() if answer.content else None
                if is_enough(content):
                    return content
            elif answer is not None and answer.status_code != 503:
                self.problems.append(f"{method} {path} answered {answer.status_code}: {answer.text[:200]}")
            if time.monotonic() > deadline:
                last = "no answer" if answer is None else f"{answer.status_code} {answer.text[:1000]}"
                raise TimeoutError(f"{method} {path} did not come to an end in {STEP_SECONDS_MAX} s: {last}")
            await asyncio.sleep(0.05)

    async def _try(
        self, method: str, url: str, body: dict[str, Any] | None, params: dict[str, Any] | None = None
    ) -> httpx.Response | None:
        try:
            return await self._client.request(method, url, json=body, params=params)
        except httpx.HTTPError:
            return None
