"""docs/errors.md has a line for every code that a program can meet, and no line for any other."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from services.ingest.decode import _EXPLANATIONS, _FIELD_EXPLANATIONS
from shared.http.problem import _CODE_OF_STATUS

ROOT = Path(__file__).parents[2]
LINES = re.findall(r'<a id="(\w+)"></a>`(\w+)`', (ROOT / "docs" / "errors.md").read_text(encoding="utf-8"))
ANCHORS = {anchor for anchor, _ in LINES}
OUTCOMES = ("Misshapen", "Fault", "Invalid")
"""Values that are made of a code, a place and a sentence: of shared.scores, shared.configs and shared.validation."""


def test_every_code_has_a_line() -> None:
    assert sorted(codes() - ANCHORS) == []


def test_every_line_has_a_code_and_its_name_as_the_anchor() -> None:
    assert sorted(ANCHORS - codes()) == []
    assert [(anchor, shown) for anchor, shown in LINES if anchor != shown] == []
    assert len(LINES) == len(ANCHORS)


def codes() -> set[str]:
    files = [file for folder in ("services", "shared") for file in (ROOT / folder).rglob("*.py")]
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))]
    of_tables = {code for _, code in (*_EXPLANATIONS, *_FIELD_EXPLANATIONS)} | set(_CODE_OF_STATUS.values())
    return {code for node in nodes for code in codes_in(node)} | of_tables | codes_of_the_proxy()


def codes_of_the_proxy() -> set[str]:
    """In its table of status, title, code and sentence, those that no service has."""
    caddyfile = (ROOT / "deploy" / "proxy" / "Caddyfile").read_text(encoding="utf-8")
    return set(re.findall(r'^\t+(?:\d{3}|default) "[^"]+" (\w+) "', caddyfile, re.MULTILINE))


def codes_in(node: ast.AST) -> Iterator[str]:
    """The texts that stand where a code stands."""
    match node:
        case ast.Assign(targets=[ast.Name("code")], value=ast.Constant(str(code))):  # of a class of errors
            yield code
        case ast.keyword("code", ast.Constant(str(code))):
            yield code
        case ast.Call(ast.Name(made), [ast.Constant(str(code)), *_]) if made in OUTCOMES:
            yield code
        case ast.Call(ast.Attribute(ast.Name("_CODE_OF_STATUS"), "get"), [_, ast.Constant(str(code))]):
            yield code
        case ast.FunctionDef("_broken"):  # of shared.validation, which returns a code and a sentence
            yield from (
                code for part in ast.walk(node) if isinstance(part, ast.Return) for code in first_of(part.value)
            )


def first_of(value: ast.expr | None) -> list[str]:
    match value:
        case ast.Tuple([ast.Constant(str(text)), *_]):
            return [text]
        case _:
            return []
