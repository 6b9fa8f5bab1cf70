"""`assay tail`: follow scores as they arrive."""

from __future__ import annotations

import argparse
import json
import time
from collections import OrderedDict
from datetime import datetime, timedelta, timezone
from typing import Any

from assay.answers import Score
from assay.command.filters import add_filters, filters_of
from assay.command.screen import Screen, open_client

_OVERLAP = timedelta(minutes=5)
_REMEMBERED = 100_000
_DESCRIPTION = """\
Follow scores as they arrive: the last ones first, then each new or replaced one. Ctrl-C ends it.

Seen are scores that were judged at most 5 minutes before they arrived; older ones, of a back-fill, are not.
"""


def describe(commands: Any, common: argparse.ArgumentParser) -> None:
    form = argparse.RawDescriptionHelpFormatter
    parser = commands.add_parser(
        "tail", help="follow arriving scores", description=_DESCRIPTION, parents=[common], formatter_class=form
    )
    parser.set_defaults(do=tail)
    parser.add_argument("-n", "--lines", type=int, default=10, metavar="N", help="how many to begin with (default 10)")
    parser.add_argument("--interval", type=float, default=1.0, metavar="SECONDS", help="how often to look (default 1)")
    parser.add_argument("--count", type=int, metavar="N", help="end after so many scores")
    add_filters(parser, times=False)


def tail(options: argparse.Namespace, screen: Screen) -> int:
    """Print scores until interrupted, which is how it ends well, or until the count is reached."""
    client = open_client(options)
    filters = filters_of(options)
    seen = _Seen()
    left = options.count if options.count is not None else -1
    fresh = list(client.scores(limit=max(1, options.lines), **filters))[::-1] if options.lines else []
    try:
        while True:
            for score in filter(seen.is_new, fresh):
                if left == 0:
                    return 0
                _show(score, screen)
                left -= 1
            if left == 0:
                return 0
            time.sleep(options.interval)
            since = seen.newest - _OVERLAP
            fresh = list(client.scores(order="asc", **{**filters, "from_": since}))
    except KeyboardInterrupt:
        return 0


class _Seen:
    """What was shown, the latest of it: an id counts again when it was received anew."""

    def __init__(self) -> None:
        self._ids: OrderedDict[tuple[str, str], None] = OrderedDict()
        self.newest = datetime.now(timezone.utc)

    def is_new(self, score: Score) -> bool:
        key = (score["id"], score["received_at"])
        if key in self._ids:
            return False
        self._ids[key] = None
        if len(self._ids) > _REMEMBERED:
            self._ids.popitem(last=False)
        self.newest = max(self.newest, _moment(score["received_at"]))
        return True


def _show(score: Score, screen: Screen) -> None:
    if screen.as_json:
        print(json.dumps(score, ensure_ascii=False), flush=True)
    else:
        print(line_of(score), flush=True)


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
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
