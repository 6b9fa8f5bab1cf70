"""Score configs as they are written down, and what has to be done so that a project has them. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from assay.answers import ScoreConfig
from assay.command.screen import CommandError

FIELDS = ("name", "data_type", "description", "min_value", "max_value", "categories", "higher_is_better", "enforcement")
_DEFAULTS: dict[str, Any] = {
    "description": None, "min_value": None, "max_value": None, "categories": None, "higher_is_better": None,
    "enforcement": "reject",
}  # fmt: skip
_BOUNDS = ("min_value", "max_value")


class Step(NamedTuple):
    """One thing to do. `action`: create, change, replace (another data type: archive and create), archive, keep."""

    action: str
    name: str
    fields: dict[str, Any]
    id: str = ""
    changes: tuple[str, ...] = ()


def read_rules(path: Path) -> list[dict[str, Any]]:
    """Return the score configs of a YAML or JSON file: a list, or an object with the list `configs`."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{path} can't be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise CommandError(f"{path} is not UTF-8: {error}.") from error
    found = _json(text, path) if path.suffix == ".json" else _yaml(text, path)
    rules = found.get("configs") if isinstance(found, dict) else found
    if not isinstance(rules, list):
        raise CommandError(f"{path} has no list `configs`.")
    return [_rule(rule, place) for place, rule in enumerate(rules, start=1)]


def plan(wanted: Iterable[Mapping[str, Any]], present: Iterable[ScoreConfig], *, prune: bool) -> list[Step]:
    """Return the steps from what is to what is wanted, in the order of the file; `prune` archives what isn't in it."""
    by_name: dict[str, Mapping[str, Any]] = {config["name"]: config for config in present}
    names = set()
    steps = []
    for rule in wanted:
        names.add(rule["name"])
        steps.append(_step(rule, by_name.get(rule["name"])))
    if prune:
        steps += [Step("archive", name, {}, str(by_name[name]["id"])) for name in sorted(set(by_name) - names)]
    return steps


def body_of(rule: Mapping[str, Any]) -> dict[str, Any]:
    """Return the rule as the api takes it: a numeric one names both bounds, null where an end is open."""
    body = dict(rule)
    if rule["data_type"] == "NUMERIC":
        body = {**dict.fromkeys(_BOUNDS), **body}
    return body


def _step(rule: Mapping[str, Any], present: Mapping[str, Any] | None) -> Step:
    name = rule["name"]
    if present is None:
        return Step("create", name, body_of(rule))
    if present["data_type"] != rule["data_type"]:
        change = f"data_type: {present['data_type']} → {rule['data_type']}"
        return Step("replace", name, body_of(rule), str(present["id"]), (change,))
    wanted = {**_DEFAULTS, **rule}
    different = [key for key in _DEFAULTS if present.get(key) != wanted[key]]
    if not different:
        return Step("keep", name, {}, str(present["id"]))
    fields = {key: wanted[key] for key in different}
    if rule["data_type"] == "NUMERIC" and any(key in fields for key in _BOUNDS):
        fields |= {key: wanted[key] for key in _BOUNDS}
    changes = tuple(f"{key}: {_shown(present.get(key))} → {_shown(wanted[key])}" for key in different)
    return Step("change", name, fields, str(present["id"]), changes)


def _rule(rule: Any, place: int) -> dict[str, Any]:
    if not isinstance(rule, dict) or not isinstance(rule.get("name"), str):
        raise CommandError(f"Config {place} has no name.")
    unknown = sorted(set(rule) - set(FIELDS))
    if unknown:
        raise CommandError(f"Config {rule['name']!r} has the field {unknown[0]!r}. There are: {', '.join(FIELDS)}.")
    if rule.get("data_type") not in ("NUMERIC", "CATEGORICAL", "BOOLEAN"):
        raise CommandError(f"Config {rule['name']!r} needs a data_type: NUMERIC, CATEGORICAL or BOOLEAN.")
    wrong = [category for category in rule.get("categories") or [] if not isinstance(category, str)]
    if wrong:
        raise CommandError(
            f"Config {rule['name']!r}: the category {wrong[0]!r} is no text. YAML takes yes, no, on, off and numbers "
            "for something else: put it in quotes."
        )
    return rule


def _json(text: str, path: Path) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise CommandError(f"{path} is not JSON: {error}") from error


def _yaml(text: str, path: Path) -> Any:
    try:
        import yaml
    except ImportError as error:
        raise CommandError("YAML needs PyYAML: pip install pyyaml. Or write the file as .json.") from error
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise CommandError(f"{path} is not YAML: {error}") from error


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
