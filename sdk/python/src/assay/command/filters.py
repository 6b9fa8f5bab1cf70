"""The filters of the api as options of the command line."""

from __future__ import annotations

import argparse
from typing import Any

from assay.command.screen import CommandError

_REPEATABLE = (
    "name", "trace_id", "span_id", "session_id", "user_id", "source", "data_type", "environment", "author",
    "config_id", "value",
)  # fmt: skip


def add_filters(parser: argparse.ArgumentParser, *, times: bool = True) -> None:
    group = parser.add_argument_group("which scores (an option given twice means either)")
    for name in _REPEATABLE:
        group.add_argument(f"--{name.replace('_', '-')}", action="append", metavar=name.split("_")[0].upper())
    group.add_argument("--metadata", action="append", default=[], metavar="KEY=TEXT")
    group.add_argument("--min-value", type=float, metavar="NUMBER")
    group.add_argument("--max-value", type=float, metavar="NUMBER")
    if times:
        group.add_argument(
            "--from", dest="from_", metavar="TIME", help="judged then or later, such as 2025-03-01T00:00Z"
        )
        group.add_argument("--to", metavar="TIME", help="judged before")
        group.add_argument("--received-from", metavar="TIME", help="arrived then or later")


def filters_of(options: argparse.Namespace) -> dict[str, Any]:
    """Return the filters as the client takes them."""
    names = (*_REPEATABLE, "min_value", "max_value", "from_", "to", "received_from")
    given = {name: getattr(options, name, None) for name in names}
    metadata: dict[str, list[str]] = {}
    for text in options.metadata:
        key, sign, value = text.partition("=")
        if not sign:
            raise CommandError(f"--metadata {text!r} is not of the form KEY=TEXT")
        metadata.setdefault(key, []).append(value)
    return {name: value for name, value in {**given, "metadata": metadata or None}.items() if value is not None}
