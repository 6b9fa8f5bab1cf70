"""The statements that modules contain, found in their text: so that none can be forgotten."""

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.integration.readings import in_one_line
from tests.system.processes import ROOT

_STATEMENT = re.compile(r"\s*(SELECT|INSERT INTO|UPDATE|DELETE FROM|WITH)\s")
_PIECE_LENGTH_MIN = 12  # of the text between two placeholders of an f-string; shorter ones say nothing


def statements_in(patterns: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    """(where, pieces that the statement's text has) of every literal that is a statement, in the modules that the
    patterns name. A literal with placeholders has several pieces."""
    for path in sorted(path for pattern in patterns for path in ROOT.glob(pattern)):
        for node in _literals(path):
            pieces = [in_one_line(piece) for piece in _pieces(node)]
            if _STATEMENT.match(" ".join(pieces) + " "):
                known = [piece for piece in pieces if len(piece) >= _PIECE_LENGTH_MIN]
                yield f"{path.relative_to(ROOT)}:{node.lineno}", known or pieces


def _literals(path: Path) -> Iterator[ast.JoinedStr | ast.Constant]:
    """Strings, but for those that are pieces of another."""
    waiting: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str)):
            yield node
        else:
            waiting += ast.iter_child_nodes(node)


def _pieces(node: ast.JoinedStr | ast.Constant) -> list[str]:
    """Between the placeholders, those of `str.format` too."""
    parts = [node] if isinstance(node, ast.Constant) else [one for one in node.values if isinstance(one, ast.Constant)]
    return [piece for part in parts for piece in str(part.value).split("{}")]
