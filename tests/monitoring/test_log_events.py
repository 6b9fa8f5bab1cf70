"""Every event that is logged has its line in docs/operating.md, at its level, and every line an event."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LEVELS = {"debug", "info", "warning", "error", "critical", "exception"}


def logged() -> dict[str, set[str]]:
    """The levels at which each event is logged in services/ and shared/."""
    found: dict[str, set[str]] = defaultdict(set)
    for folder in ("services", "shared"):
        for path in (ROOT / folder).rglob("*.py"):
            for event, level in events_in(ast.parse(path.read_text(encoding="utf-8"))):
                found[event].add(level)
    return found


def events_in(tree: ast.AST) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=logger, attr=level), args=[ast.Constant(value=str(event)), *_]):
                if level in LEVELS and is_logger(logger):
                    yield event, level


def is_logger(node: ast.expr) -> bool:
    match node:
        case ast.Name(id="log") | ast.Call(func=ast.Attribute(attr="get_logger")):
            return True
        case _:
            return False


def documented() -> dict[str, set[str]]:
    """The levels of each event in the table below "Logs"."""
    text = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    section = text.partition("\n## Logs\n")[2].partition("\n## ")[0]
    found: dict[str, set[str]] = defaultdict(set)
    for names, _, level in re.findall(r"^\| (`.+?) \| (.+?) \| (.+?) \|.*\|$", section, re.MULTILINE):
        for name in re.findall(r"`(\w+)`", names):
            found[name].add(level)
    return found


def test_every_logged_event_is_documented_at_its_level_and_nothing_else_is() -> None:
    assert documented() == logged()


def test_no_event_has_a_name_that_can_t_be_looked_up() -> None:
    """A name put together at run time is in no table."""
    for folder in ("services", "shared"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                match node:
                    case ast.Call(func=ast.Attribute(value=ast.Name(id="log"), attr=level), args=[first, *_]):
                        assert level not in LEVELS or isinstance(first, ast.Constant), f"{path}:{node.lineno}"
