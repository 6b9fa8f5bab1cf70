"""The reads that the bench times: each as its readers ask for it, over HTTP, one after the other."""

import random
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import httpx
from msgspec import Struct

from bench.figures import Goal
from bench.filling import DAYS, NAMES, SCORES_PER_TRACE

COMMONEST, CATEGORY = "metric_01", "metric_03"  # of all names, and of those whose values are labels

Ask = Callable[[random.Random], tuple[str, dict[str, Any]]]
"""A path below /v1 and its parameters; the dice choose which name, trace or moment."""


class Read(Struct, frozen=True):
    """`rollup_beside` is the SQL of the same answer from the rows, where the rollups spare it."""

    name: str
    ask: Ask
    goal: Goal | None = None
    rollup_beside: str | None = None
    count: int = 100
    from_cursor: bool = False  # time the page after the one that is asked for


def reads(rows: int) -> list[Read]:
    """Each read of a table of so many rows."""
    return [*_pages(rows), *_from_rollups(), *_from_rows()]


def _pages(rows: int) -> list[Read]:
    page = Goal("below", 5)
    return [
        Read("list, the first page", lambda _: ("scores", {}), page),
        Read("list, a page at any depth", lambda dice: ("scores", {"to": _moment(dice)}), page, from_cursor=True),
        Read(
            "list, one name at any depth",
            lambda dice: ("scores", {"name": _name(dice), "to": _moment(dice)}),
            page,
            from_cursor=True,
        ),
        Read("by trace", lambda dice: (f"traces/{_trace(dice, rows)}/scores", {}), page),
        Read("one score", lambda dice: (f"scores/s{dice.randrange(rows):09}", {}), page),
    ]


def _from_rollups() -> list[Read]:
    statistic = Goal("below", 15)
    return [
        Read("aggregate of all names, all time, without percentiles", _aggregate, statistic, _RAW_AGGREGATE, 30),
        Read(
            "aggregate of one name by source, 90 days, without percentiles",
            lambda dice: (
                "scores/aggregate",
                {"name": _name(dice), "group_by": "source", **_days(90), **_ROLLUPS_ONLY},
            ),
            statistic,
        ),
        Read(
            "trend of one name, 90 days",
            lambda dice: ("scores/trends", {"name": _name(dice), "granularity": "day", **_days(90)}),
            statistic,
        ),
        Read("trend of the commonest name, 90 days", _trend_in("UTC"), statistic, _RAW_TREND, 30),
        Read("trend of the commonest name, 90 days, Asia/Kolkata", _trend_in("Asia/Kolkata"), statistic, count=30),
        Read("trend of the commonest name, 90 days, Europe/Berlin", _trend_in("Europe/Berlin"), statistic, count=30),
        Read("trend of the commonest category, 90 days, UTC", _trend_in("UTC", CATEGORY), statistic, count=30),
        Read("trend of the commonest category, 90 days, Asia/Kolkata", _trend_in("Asia/Kolkata", CATEGORY), count=30),
        Read("trend of the commonest category, 90 days, Europe/Berlin", _trend_in("Europe/Berlin", CATEGORY), count=30),
        # No goal: 2,160 buckets.
        Read("trend of the commonest name by hour, 90 days", _trend_in("UTC", granularity="hour"), count=30),
        Read(
            "trend of one name by hour, 7 days",
            lambda dice: ("scores/trends", {"name": _name(dice), "granularity": "hour", **_days(7)}),
            statistic,
        ),
    ]


def _from_rows() -> list[Read]:
    """Their time grows with the rows that are meant: no goal."""
    return [
        Read(
            "aggregate of all names, all time, as it is by default: with percentiles",
            lambda _: ("scores/aggregate", {}),
            count=2,
        ),
        Read(
            "aggregate with percentiles of a name with a hundredth of all, 90 days",
            lambda dice: ("scores/aggregate", {"name": _rare_name(dice), **_days(90)}),
            count=5,
        ),
        Read(
            "aggregate with percentiles of all names, 1 day",
            lambda _: ("scores/aggregate", _days(1)),
            count=20,
        ),
        Read(
            "aggregate with percentiles of the commonest name, 7 days",
            lambda _: ("scores/aggregate", {"name": COMMONEST, **_days(7)}),
            count=20,
        ),
        Read(
            "aggregate with percentiles of a name with a hundredth of all, 7 days",
            lambda dice: ("scores/aggregate", {"name": _rare_name(dice), **_days(7)}),
            count=30,
        ),
        Read(
            "histogram of a name with a hundredth of all, 7 days",
            lambda dice: ("scores/histogram", {"name": _rare_name(dice), **_days(7)}),
            count=30,
        ),
        Read(
            "aggregate by metadata of a name with a hundredth of all, 1 day",
            lambda dice: (
                "scores/aggregate",
                {"name": _rare_name(dice), "group_by": "metadata.release", **_days(1), **_ROLLUPS_ONLY},
            ),
            count=30,
        ),
    ]


_ROLLUPS_ONLY = {"percentiles": "false"}
_RAW_AGGREGATE = """
    SELECT name, data_type, count(*), avg(numeric_value), min(numeric_value), max(numeric_value),
        stddev_samp(numeric_value), count(*) FILTER (WHERE boolean_value)
    FROM scores WHERE project_id = $1 GROUP BY name, data_type
    """
_RAW_TREND = f"""
    SELECT date_trunc('day', scored_at), data_type, count(*), avg(numeric_value), min(numeric_value),
        max(numeric_value), stddev_samp(numeric_value)
    FROM scores
    WHERE project_id = $1 AND name = '{COMMONEST}' AND scored_at >= now() - interval '{DAYS} days'
    GROUP BY 1, 2
    """


def _aggregate(_dice: random.Random) -> tuple[str, dict[str, Any]]:
    return "scores/aggregate", _ROLLUPS_ONLY


def _trend_in(timezone: str, name: str = COMMONEST, granularity: str = "day") -> Ask:
    return lambda _: (
        "scores/trends",
        {"name": name, "granularity": granularity, "timezone": timezone, **_days(90)},
    )


def _name(dice: random.Random) -> str:
    return f"metric_{dice.randint(1, NAMES):02}"


def _rare_name(dice: random.Random) -> str:
    """A numeric one with about a hundredth of all scores."""
    return f"metric_{dice.choice((20, 21, 24, 25, 26, 29)):02}"


def _trace(dice: random.Random, rows: int) -> str:
    return f"trace-{dice.randrange(rows // SCORES_PER_TRACE)}"


def _moment(dice: random.Random) -> str:
    return (datetime.now(UTC) - timedelta(days=DAYS * dice.random())).isoformat()


def _days(number: int) -> dict[str, str]:
    return {"from": (datetime.now(UTC) - timedelta(days=number)).isoformat()}


def seconds_of(client: httpx.Client, read: Read, seed: int, count: int) -> list[float]:
    """Ask `count` times; how long each answer took. Raises `RuntimeError` for any answer but a 200."""
    dice, seconds = random.Random(seed), []
    for _ in range(count):
        path, params = read.ask(dice)
        if read.from_cursor and (cursor := _next_cursor(client, path, params)) is not None:
            params = {**params, "cursor": cursor}
        started = time.perf_counter()
        answer = client.get(f"/v1/{quote(path)}", params=params)
        seconds.append(time.perf_counter() - started)
        if answer.status_code != httpx.codes.OK:
            raise RuntimeError(f"{read.name}: {answer.status_code} {answer.text[:300]}")
    return seconds


def _next_cursor(client: httpx.Client, path: str, params: dict[str, Any]) -> str | None:
    found: str | None = client.get(f"/v1/{quote(path)}", params=params).raise_for_status().json()["next_cursor"]
    return found
