"""`assay configs`: the rules of a project, listed, and made as a file says."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from assay.client import Client
from assay.command.rules import Step, plan, read_rules
from assay.command.screen import CommandError, Screen, open_client, table

_APPLY = """\
Make the score configs of the project what FILE says: show the plan, ask, and do it. Run twice, it does nothing.

  configs:
    - name: relevance
      data_type: NUMERIC
      min_value: 0
      max_value: 1          # null, or left out: no limit
      higher_is_better: true
    - name: safety
      data_type: CATEGORICAL
      categories: [safe, potentially_unsafe, unsafe]
      enforcement: warn     # default: reject

A config whose data type changes is archived, and one of that name made anew. Configs that are not in FILE stay, unless
--prune archives them. Without a terminal to ask on, --yes is needed.
"""
_SIGNS = {"create": "+", "change": "~", "replace": "±", "archive": "-", "keep": " "}


def describe(commands: Any, common: argparse.ArgumentParser) -> None:
    form = argparse.RawDescriptionHelpFormatter
    parser = commands.add_parser("configs", help="list score configs, or make them as a file says")
    parts = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    listing = parts.add_parser("list", help="list the active score configs", parents=[common])
    listing.set_defaults(do=show)
    apply_parser = parts.add_parser(
        "apply",
        help="make them as a YAML or JSON file says",
        description=_APPLY,
        parents=[common],
        formatter_class=form,
    )
    apply_parser.set_defaults(do=apply)
    apply_parser.add_argument("file", type=Path, metavar="FILE")
    apply_parser.add_argument("--plan", action="store_true", help="show the plan, and do nothing")
    apply_parser.add_argument("--prune", action="store_true", help="archive configs that are not in the file")
    apply_parser.add_argument("--yes", action="store_true", help="do not ask")


def show(options: argparse.Namespace, screen: Screen) -> int:
    with open_client(options) as client:
        configs = client.configs()
    rows = [
        [config["name"], config["data_type"], _rule_text(dict(config)), config["enforcement"]] for config in configs
    ]
    lines = table(["name", "data type", "rule", "enforcement"], rows) if rows else ["There are no score configs."]
    screen.result({"configs": configs}, lines)
    return 0


def apply(options: argparse.Namespace, screen: Screen) -> int:
    """Plan, ask and do. Raises CommandError when it may not ask."""
    rules = read_rules(options.file)
    with open_client(options) as client:
        return _apply(client, rules, options, screen)


def _apply(client: Client, rules: list[dict[str, Any]], options: argparse.Namespace, screen: Screen) -> int:
    steps = plan(rules, client.configs(), prune=options.prune)
    to_do = [step for step in steps if step.action != "keep"]
    if not screen.as_json:
        for line in _plan_lines(steps):
            print(line)
    if to_do and not options.plan:
        _ask(options)
        for step in to_do:
            _do(client, step)
    done = bool(to_do) and not options.plan
    result = {"steps": [step._asdict() for step in steps], "applied": done}
    screen.result(result, [f"{len(to_do)} done." if done else "Nothing was done."])
    return 0


def _ask(options: argparse.Namespace) -> None:
    if options.yes:
        return
    if not sys.stdin.isatty():
        raise CommandError("Nothing was done: give --yes, as there is nobody to ask.")
    if input("Do it? [y/N] ").strip().lower() not in ("y", "yes"):
        raise CommandError("Nothing was done.", 1)


def _do(client: Client, step: Step) -> None:
    if step.action in ("archive", "replace"):
        client.archive_config(step.id)
    if step.action in ("create", "replace"):
        client.create_config(**step.fields)
    if step.action == "change":
        client.change_config(step.id, **step.fields)


def _plan_lines(steps: list[Step]) -> list[str]:
    lines = []
    for step in steps:
        lines.append(f"{_SIGNS[step.action]} {step.action:<8}{step.name}")
        lines += [f"      {change}" for change in step.changes]
    counts = {action: sum(step.action == action for step in steps) for action in _SIGNS}
    lines.append("plan: " + ", ".join(f"{count} to {action}" for action, count in counts.items() if count))
    return lines if steps else ["plan: nothing to do"]


def _rule_text(config: dict[str, Any]) -> str:
    if config["data_type"] == "NUMERIC":
        low, high = config.get("min_value"), config.get("max_value")
        return f"{'' if low is None else low} … {'' if high is None else high}".strip()
    categories = ", ".join(config.get("categories") or [])
    return categories if len(categories) <= 60 else categories[:59] + "…"
