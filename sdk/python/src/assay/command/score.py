"""`assay score`: one score from the command line."""

from __future__ import annotations

import argparse
import json
from typing import Any

from assay.client import Client
from assay.command.delivery import Delivery, Item, Shipment
from assay.command.journal import Settled
from assay.command.mapping import value_of_text
from assay.command.screen import FAILED, INCOMPLETE, CommandError, Screen, open_client
from assay.errors import InvalidScore
from assay.ids import new_score_id
from assay.wire import encode_score

_DESCRIPTION = """\
Send one score, wait for its receipt, and print its id.

  assay score relevance 0.92 --trace-id 4bf92f3577b34da6a3ce929d0e0e4736 --comment "on topic"
  assay score safety unsafe --session-id c7 --source LLM_JUDGE
  assay score thumbs true --user-id u1
"""


def describe(commands: Any, common: argparse.ArgumentParser) -> None:
    form = argparse.RawDescriptionHelpFormatter
    parser = commands.add_parser(
        "score", help="send one score", description=_DESCRIPTION, parents=[common], formatter_class=form
    )
    parser.set_defaults(do=score)
    add = parser.add_argument
    add("name")
    add("value", help="a number, true, false, or a category")
    add("--text", action="store_true", help="take the value as a category, whatever it looks like")
    for target in ("trace", "span", "session", "user"):
        add(f"--{target}-id", metavar="ID")
    for field in ("comment", "source", "author", "environment", "timestamp", "id", "config-id"):
        add(f"--{field}", metavar=field.upper())
    add("--metadata", metavar="JSON", help="an object")


def score(options: argparse.Namespace, screen: Screen) -> int:
    fields = _fields(options)
    try:
        wire = encode_score(fields)
    except InvalidScore as error:
        raise CommandError(str(error)) from error
    with open_client(options) as client:
        settled = _deliver(client, Item(1, fields, wire))
    became = next((name for name in ("stored", "replaced", "unchanged") if getattr(settled, name)), "unknown")
    if settled.rejected:
        rejected = settled.rejected[0]
        result = {"id": fields["id"], "became": "rejected", "code": rejected.code, "detail": rejected.detail}
        screen.result(result, [f"rejected ({rejected.code}): {rejected.detail}"])
        return INCOMPLETE
    screen.result({"id": fields["id"], "became": became}, [f"{fields['id']} {became}"])
    return 0 if became != "unknown" else FAILED


def _deliver(client: Client, item: Item) -> Settled:
    results: list[Settled] = []
    delivery = Delivery(client, senders=1, patience_seconds=30.0, settled=lambda _number, one: results.append(one))
    delivery.run([Shipment(0, [item])])
    return results[0]


def _fields(options: argparse.Namespace) -> dict[str, Any]:
    names = (
        "trace_id", "span_id", "session_id", "user_id", "comment", "source", "author", "environment", "timestamp",
        "config_id",
    )  # fmt: skip
    fields: dict[str, Any] = {name: getattr(options, name) for name in names}
    fields |= {"id": options.id or new_score_id(), "name": options.name}
    fields["value"] = options.value if options.text else value_of_text(options.value, None)
    if options.metadata:
        try:
            fields["metadata"] = json.loads(options.metadata)
        except ValueError as error:
            raise CommandError(f"--metadata is not JSON: {error}") from error
    return {name: value for name, value in fields.items() if value is not None}
