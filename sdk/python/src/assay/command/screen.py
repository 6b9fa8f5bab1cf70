"""What the command shows: results on standard output, everything else on standard error."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from assay.client import Client

FAILED = 1
INCOMPLETE = 3
INTERRUPTED = 130


class CommandError(Exception):
    """The command can't do what it was told; the message says why and what to do."""

    def __init__(self, message: str, exit_code: int = 2) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Screen:
    """`as_json`: results are JSON for programs. `quiet`: only results and errors."""

    def __init__(self, *, as_json: bool, quiet: bool) -> None:
        self.as_json = as_json
        self.quiet = quiet
        self.is_terminal = sys.stderr.isatty()

    def result(self, fields: Any, lines: Iterable[str]) -> None:
        """Print the result: `fields` as JSON, or `lines` for people."""
        if self.as_json:
            print(json.dumps(fields, ensure_ascii=False))
        else:
            for line in lines:
                print(line)

    def note(self, text: str) -> None:
        if not self.quiet:
            print(text, file=sys.stderr)

    def fail(self, text: str, exit_code: int) -> int:
        print(f"assay: {text}", file=sys.stderr)
        return exit_code


def open_client(options: argparse.Namespace, **settings: Any) -> Client:
    """Return a client as the options and the environment say. Raises CommandError when there is no key."""
    given = {"api_key": options.api_key, "ingest_url": options.ingest_url, "api_url": options.api_url}
    client = Client(**given, strict=True, enabled=False, **settings)
    if not client.settings.api_key:
        raise CommandError("There is no API key. Set ASSAY_API_KEY, or give --api-key.")
    return client


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table, each column as wide as it needs.

    >>> table(["name", "count"], [["relevance", "12"]])
    ['name       count', 'relevance  12']
    """
    cells = [list(columns), *(list(row) for row in rows)]
    widths = [max(len(row[index]) for row in cells) for index in range(len(columns))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in cells]
