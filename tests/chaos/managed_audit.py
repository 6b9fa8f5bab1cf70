"""What must be in the manager's project in the end: exactly what the model of its steps says."""

from typing import Any

import httpx

from tests.chaos.aggregates import differences_of_aggregates
from tests.chaos.audit import Findings, items_of
from tests.chaos.history_model import comparable
from tests.chaos.house import House
from tests.chaos.manager import Manager

OUTCOMES = ("stored", "replaced", "unchanged", "rejected")


async def audit_managed(house: House, manager: Manager, findings: Findings) -> None:
    async with httpx.AsyncClient(base_url=house.api_url, headers=house.managed.headers, timeout=60) as api:
        items = [item async for item in items_of(api, "/v1/scores")]
        _check_scores(manager, items, findings)
        await _check_rejected(api, manager, findings)
        await _check_receipts(api, manager, findings)
        aggregates = (await api.get("/v1/scores/aggregate")).raise_for_status().json()["items"]
        for difference in differences_of_aggregates(items, aggregates):
            findings.problem(f"managed project: {difference}")
    for problem in manager.problems:
        findings.problem(f"managed project: {problem}")


def _check_scores(manager: Manager, items: list[dict[str, Any]], findings: Findings) -> None:
    found = {item["id"]: comparable({**item, "timestamp": item["scored_at"]}) for item in items}
    true = {row.pop("id"): row for row in manager.model.rows()}
    findings.doubled += len(items) - len(found)
    for score_id in (true.keys() | found.keys()) - manager.ghosts:
        if found.get(score_id) != true.get(score_id):
            findings.lost += score_id not in found
            findings.problem(f"{score_id} is {found.get(score_id)}, the model says {true.get(score_id)}")


async def _check_rejected(api: httpx.AsyncClient, manager: Manager, findings: Findings) -> None:
    found = {
        (one["batch_id"], one["index"]): (one["score_id"], one["code"])
        async for one in items_of(api, "/v1/rejected-scores")
    }
    true = manager.model.rejected
    for place in true.keys() | found.keys():
        score_id = (found.get(place) or true[place])[0]
        if score_id not in manager.ghosts and found.get(place) != true.get(place):
            findings.problem(f"rejected at {place}: {found.get(place)}, the model says {true.get(place)}")


async def _check_receipts(api: httpx.AsyncClient, manager: Manager, findings: Findings) -> None:
    """Where an id of the batch was also sent without an answer, only the sum is known."""
    for batch in manager.sent.values():
        receipt = (await api.get(f"/v1/batches/{batch.batch_id}")).raise_for_status().json()
        told = [receipt[name] for name in OUTCOMES]
        true = [manager.model.receipts[batch.batch_id][name] for name in OUTCOMES]
        if told != true and (sum(told) != sum(true) or not manager.ghosts & set(batch.ids)):
            findings.problem(f"receipt of {batch.batch_id} counts {told}, the model says {true}")
