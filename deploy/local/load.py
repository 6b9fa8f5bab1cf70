"""`make load`: send a folder's configs and scores through the real ingest, and account for every line of them."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from deploy.local.client import Client
from deploy.local.delivery import Report, deliver
from deploy.local.errors import CannotStart
from deploy.local.progress import delivery_progress
from deploy.local.rows import count_lines, random_id, read_rows, stable_id
from deploy.local.screen import Screen

CONFIG_FILE = "score_configs.json"
SCORE_FILE = "scores.jsonl.gz"
_SAME_KEYS = ("name", "data_type", "description", "categories")


@dataclass(frozen=True)
class LoadPlan:
    """What to load and how.

    With `id_prefix` a row's id follows from its line number, and loading twice doubles nothing. Without it each run
    makes new ids; only what is sent again because its answer got lost counts once.
    """

    folder: Path
    file: str = SCORE_FILE
    batch_size: int = 100
    senders: int = 2
    id_prefix: str | None = None

    @property
    def scores(self) -> Path:
        return self.folder / self.file


async def load(client: Client, plan: LoadPlan, screen: Screen) -> Report:
    """Make the missing configs, send the scores, wait for their receipts, and say what became of them."""
    if not plan.scores.is_file():
        raise CannotStart(f"There is no {plan.scores}.", "Name a folder with scores: make load DATA=folder")
    await _make_configs(client, _configs(plan.folder / CONFIG_FILE), screen)
    started = time.monotonic()
    with delivery_progress(screen, count_lines(plan.scores)) as on_progress:
        rows = read_rows(plan.scores, stable_id(plan.id_prefix) if plan.id_prefix else random_id)
        report = await deliver(client, rows, batch_size=plan.batch_size, senders=plan.senders, on_progress=on_progress)
    _show(screen, report, time.monotonic() - started)
    return report


def _configs(path: Path) -> list[dict[str, Any]]:
    """Return the configs of the folder; none when it has no such file: then those that are there apply."""
    if not path.exists():
        return []
    configs: list[dict[str, Any]] = msgspec.json.decode(path.read_bytes())["configs"]
    return configs


async def _make_configs(client: Client, configs: list[dict[str, Any]], screen: Screen) -> None:
    made = sum([await client.make_config(_config_body(config)) for config in configs])
    screen.say(f"Score configs: {made} made, {len(configs) - made} were there already.")


def _config_body(config: dict[str, Any]) -> dict[str, Any]:
    """Return a config of the file as the api wants it: a numeric one names both bounds, null where an end is open."""
    body: dict[str, Any] = {key: config[key] for key in _SAME_KEYS if key in config}
    if config["data_type"] == "NUMERIC":
        body |= {"min_value": config.get("min"), "max_value": config.get("max")}
    return body


def _show(screen: Screen, report: Report, seconds: float) -> None:
    screen.say(f"{report.sent:,} sent and settled in {seconds:.1f} s ({report.sent / seconds:,.0f}/s)")
    for name in ("stored", "replaced", "unchanged", "rejected", "refused"):
        screen.say(f"  {name:<10}{getattr(report, name):>12,}")
    for code, count in report.codes.most_common():
        screen.say(f"{code}: {count:,}")
        for example in report.examples[code]:
            screen.say(f"    {example}")
    if not report.all_accounted_for:
        screen.say(
            f"NOT accounted for: {report.sent - report.settled:,} scores whose receipt did not come", style="bold red"
        )
