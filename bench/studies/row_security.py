"""What row-level security costs: the same reads by an api that is held to its project, and by one that logs in as the
owner of the tables, whom PostgreSQL holds to nothing."""

import httpx

from bench.figures import Figure, Limit, percentile
from bench.filling import fill
from bench.house import Service
from bench.plan import Plan
from bench.reading import Read, reads, seconds_of

PART = "row-level security"
ROWS = 1_000_000


async def measure(plan: Plan) -> list[Figure]:
    rows = min(ROWS, plan.growth_rows)
    await fill(plan.house, rows)
    with plan.house.service("api") as held, plan.house.service("api-owner", as_owner=True) as free:
        return [_figure(plan, read, held, free) for read in reads(rows)]


def _figure(plan: Plan, read: Read, held: Service, free: Service) -> Figure:
    """In turn, after one round that is not counted."""
    rounds = [(_p50_ms(plan, read, held, seed), _p50_ms(plan, read, free, seed)) for seed in range(plan.rounds + 1)][1:]
    return Figure(
        part=PART,
        name=f"{read.name}: p50",
        unit="ms",
        runs=[with_it for with_it, _ in rounds],
        limit=Limit("without", [without for _, without in rounds]),
    )


def _p50_ms(plan: Plan, read: Read, api: Service, seed: int) -> float:
    headers = {"Authorization": f"Bearer {plan.house.credentials.api_key}"}
    with httpx.Client(base_url=api.url, headers=headers, trust_env=False, timeout=60) as client:
        return percentile(seconds_of(client, read, seed, read.count), 0.5) * 1000
