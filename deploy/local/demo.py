"""Generated scores, sent the whole way like anyone's into the project `demo`, and read back as aggregates."""

import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from deploy.local.client import Client
from deploy.local.delivery import Report, deliver
from deploy.local.generated import CONFIGS, generate
from deploy.local.rows import random_id, rows_of
from deploy.local.screen import Screen

SCORES = 2000
FIRST_SEED = 1  # a first start that was cut short sends the same ids again, and so doubles nothing


def new_seed() -> int:
    return secrets.randbits(63)


async def send_demo(
    client: Client, seed: int, on_progress: Callable[[Report], None] = lambda _report: None
) -> tuple[Report, list[dict[str, Any]]]:
    """Send generated scores and wait for their receipts. Returns what became of them, and the project's aggregates."""
    for config in CONFIGS:
        await client.make_config(config)
    rows = rows_of(generate(SCORES, seed=seed, now=datetime.now(UTC)), random_id)
    report = await deliver(client, rows, on_progress=on_progress)
    return report, await client.aggregates()


def show_demo(screen: Screen, report: Report, aggregates: list[dict[str, Any]]) -> None:
    columns = ["name", "type", "count", "avg", "p50", "p99", "true", "most frequent"]
    title = f"{report.stored:,} generated scores went through; the project demo now holds:"
    screen.table(title, columns, [_row(item) for item in aggregates])


def _row(item: dict[str, Any]) -> list[str]:
    what = [item["name"], item["data_type"].lower(), f"{item['count']:,}"]
    numbers = [_number(item.get(key)) for key in ("avg", "p50", "p99", "true_rate")]
    return [*what, *numbers, _most_frequent(item.get("distribution"))]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _most_frequent(distribution: dict[str, int] | None) -> str:
    return max(distribution, key=lambda category: distribution[category]) if distribution else ""
