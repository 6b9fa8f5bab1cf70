"""`assay tail`: follow scores as they arrive."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta, timezone
from itertools import islice
from typing import Any

from assay.answers import Score
from assay.client import Client
from assay.command.filters import add_filters, filters_of
from assay.command.screen import Screen, open_client
from assay.errors import ApiError, Unreachable

_CLOCKS = timedelta(seconds=5)  # how far the servers' clocks may be apart
_LOOK_BACK_MAX = timedelta(minutes=5)  # behind the newest, however long the queue is
_REMEMBERED = 500_000
_DESCRIPTION = """\
Follow scores as they arrive, whenever they were judged: the last ones first, then each new or replaced one.

Scores that arrived together are shown in the order in which they were judged. While the api is away it is asked again.
Ctrl-C ends it.
"""


def describe(commands: Any, common: argparse.ArgumentParser) -> None:
    form = argparse.RawDescriptionHelpFormatter
    parser = commands.add_parser(
        "tail", help="follow arriving scores", description=_DESCRIPTION, parents=[common], formatter_class=form
    )
    parser.set_defaults(do=tail)
    add = parser.add_argument
    add("-n", "--lines", type=_not_negative(int), default=10, metavar="N", help="how many to begin with (default 10)")
    add("--interval", type=_not_negative(float), default=1.0, metavar="SECONDS", help="how often to look (default 1)")
    add("--count", type=_not_negative(int), metavar="N", help="end after so many scores")
    add_filters(parser, times=False)


def tail(options: argparse.Namespace, screen: Screen) -> int:
    """Print scores until interrupted, which is how it ends well, or until the count is reached."""
    with open_client(options) as client:
        try:
            for score in islice(_arriving(client, options, screen), options.count):
                print(json.dumps(score, ensure_ascii=False) if screen.as_json else line_of(score), flush=True)
        except KeyboardInterrupt:
            pass
    return 0


def _arriving(client: Client, options: argparse.Namespace, screen: Screen) -> Iterator[Score]:
    """Yield the last scores, and then what arrives, without end."""
    filters = filters_of(options)
    arrived = Arrived()
    latest = client.scores(limit=max(1, options.lines), **filters)
    last = latest.to_list()[::-1]
    yield from arrived.new(last if options.lines else [])
    arrived.complete(latest.complete_through)
    while True:
        time.sleep(options.interval)
        page_by_page = client.scores(order="asc", received_from=arrived.since, **filters)
        try:
            yield from arrived.new(page_by_page)
        except (ApiError, Unreachable) as error:
            if isinstance(error, ApiError) and error.status < 500:
                raise
            screen.note(f"no answer, asking again: {error}")
        else:
            arrived.complete(page_by_page.complete_through)


class Arrived:
    """What was seen of late, and the time of arrival from which to ask on.

    Every score that was accepted up to the `complete_through` of an answer is in it, so that nothing before has to be
    asked for again, and what was seen of before can be forgotten. Is the queue long, it is asked from at most 5
    minutes before the newest one seen.
    """

    def __init__(self) -> None:
        self._seen: dict[int, datetime] = {}
        self._newest: datetime | None = None
        self.since: datetime | None = None

    def new(self, scores: Iterable[Score]) -> Iterator[Score]:
        """Yield those that were not seen yet: an id counts again when it was received anew."""
        for score in scores:
            key = hash((score["id"], score["received_at"]))  # a number, as there may be many
            if key not in self._seen:
                self._remember(key, _moment(score["received_at"]))
                yield score

    def complete(self, through: str | None) -> None:
        """Go on from there; where the server doesn't say, from 5 minutes before the newest one."""
        earliest = (self._newest or datetime.now(timezone.utc)) - _LOOK_BACK_MAX
        since = earliest if through is None else _moment(through) - _CLOCKS
        if self._newest is not None:
            since = max(since, earliest)
        self.since = since if self.since is None else max(self.since, since)
        self._seen = {key: moment for key, moment in self._seen.items() if moment >= since}

    def _remember(self, key: int, received_at: datetime) -> None:
        self._seen[key] = received_at
        self._newest = received_at if self._newest is None else max(self._newest, received_at)
        if len(self._seen) > _REMEMBERED:
            del self._seen[next(iter(self._seen))]


def line_of(score: Score) -> str:
    """Return a score as one line for people."""
    targets = (("span", "span_id"), ("trace", "trace_id"), ("session", "session_id"), ("user", "user_id"))
    target = next((f"{word} {score.get(key)}" for word, key in targets if score.get(key)), "")
    comment = " ".join((score.get("comment") or "").split())
    value = json.dumps(score["value"], ensure_ascii=False)
    return (
        f"{score['scored_at'][:19]}Z  {score['name']} = {value}  {target}  {score['source']}  {comment[:80]}".rstrip()
    )


def _moment(text: str) -> datetime:
    """Return the time of an answer. Python 3.9 takes 3 or 6 digits of a second alone, and no Z."""
    whole, _, rest = text.replace("Z", "+00:00").partition("+")
    seconds, _, fraction = whole.partition(".")
    return datetime.fromisoformat(f"{seconds}.{fraction:0<6.6}+{rest}")


def _not_negative(kind: type[int | float]) -> Any:
    def number(text: str) -> int | float:
        value = kind(text)
        if not value >= 0:
            raise argparse.ArgumentTypeError("must be 0 or more")
        return value

    return number
