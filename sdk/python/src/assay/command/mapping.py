"""From the columns of a file to the fields of a score. Pure."""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Callable

from assay.command.screen import CommandError
from assay.ids import new_score_id

FIELDS = (
    "id", "name", "value", "data_type", "trace_id", "span_id", "session_id", "user_id", "source", "author",
    "comment", "metadata", "environment", "config_id", "timestamp",
)  # fmt: skip
_ALIASES = {"scored_at": "timestamp"}
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_BOOLEANS = {"true": True, "false": False}
MakeId = Callable[[int, Mapping[str, Any]], str]


class Columns:
    """Which column becomes which field.

    `renamed` maps fields to columns (`metadata.<key>` is a field too), `constants` fields to what they are where a row
    has none. `extra` says what becomes of other columns: `refuse`, `metadata` or `ignore`.
    """

    def __init__(self, renamed: Mapping[str, str], constants: Mapping[str, str], extra: str) -> None:
        for field in [*renamed, *constants]:
            if field not in FIELDS and not field.startswith("metadata."):
                raise CommandError(f"A score has no field {field!r}. It has: {', '.join(FIELDS)}, metadata.<key>.")
        self._field_of = {column: field for field, column in renamed.items()}
        self._constants = constants
        self._extra = extra

    def check(self, columns: Sequence[str]) -> None:
        """Raise CommandError unless these columns make scores."""
        missing = sorted(set(self._field_of) - set(columns))
        if missing:
            raise CommandError(f"There is no column {missing[0]!r}. There are: {', '.join(columns)}.")
        unknown = [column for column in columns if self._field(column) is None]
        if unknown and self._extra == "refuse":
            raise CommandError(
                f"Scores have no field for the column{'s' if len(unknown) > 1 else ''} {', '.join(unknown)}. Give "
                f"--map FIELD={unknown[0]}, or --extra metadata to keep such columns there, or --extra ignore."
            )
        fields = {self._field(column) for column in columns} | set(self._constants)
        if "value" not in fields:
            raise CommandError("No column is the value. Say which: --map value=COLUMN")

    def score_of(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields of the score; a column that has no place stays as it is, for the server to refuse."""
        score: dict[str, Any] = {}
        metadata: dict[str, Any] = {}
        for column, cell in row.items():
            field = self._field(column)
            if field is None:
                if self._extra == "metadata":
                    metadata[column] = cell
                elif self._extra == "refuse":
                    score[column] = cell
            elif field.startswith("metadata."):
                metadata[field[len("metadata.") :]] = cell
            elif field == "metadata":
                metadata.update(cell if isinstance(cell, Mapping) else _object(cell))
            else:
                score[field] = cell
        for field, text in self._constants.items():
            if field.startswith("metadata."):
                metadata.setdefault(field[len("metadata.") :], text)
            else:
                score.setdefault(field, text)
        if metadata:
            score["metadata"] = metadata
        return score

    def _field(self, column: str) -> str | None:
        if column in self._field_of:
            return self._field_of[column]
        field = _ALIASES.get(column, column)
        if field in self._field_of.values():
            return None
        return field if field in FIELDS or field.startswith("metadata.") else None


def value_of_text(text: str, data_type: str | None) -> bool | float | str:
    """Return what a text stands for: as the data type says, and where none is known as it looks.

    A text that does not fit its data type stays a text, for the server to refuse.

    >>> value_of_text("0.5", None), value_of_text("TRUE", None), value_of_text("5", "CATEGORICAL")
    (0.5, True, '5')
    """
    if data_type == "CATEGORICAL":
        return text
    boolean = _BOOLEANS.get(text.strip().lower())
    if boolean is not None and data_type != "NUMERIC":
        return boolean
    if data_type == "BOOLEAN":
        return {"1": True, "0": False}.get(text.strip(), text)
    return _number(text.strip()) if _NUMBER.fullmatch(text.strip()) else text


def content_id(prefix: str) -> MakeId:
    """Return ids that follow from the file's stem, the row's number and its content: the same in every run, and never
    those of another file of the same name.
    """

    def make(number: int, score: Mapping[str, Any]) -> str:
        content = json.dumps(score, sort_keys=True, ensure_ascii=True, default=str).encode()
        digest = hashlib.sha256(content).hexdigest()
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"assay-load:{prefix}:{number}:{digest}"))

    return make


def line_id(prefix: str) -> MakeId:
    """Return ids that follow from the row's number alone: uuid5 of "<prefix>:<number>" in the URL namespace."""
    return lambda number, _score: str(uuid.uuid5(uuid.NAMESPACE_URL, f"{prefix}:{number}"))


def random_id(_number: int, _score: Mapping[str, Any]) -> str:
    return new_score_id()


def _number(text: str) -> float:
    return int(text) if re.fullmatch(r"[+-]?\d+", text) else float(text)


def _object(cell: Any) -> dict[str, Any]:
    """Return the object of a cell of JSON. Raises ValueError when there is none in it."""
    found = json.loads(cell)
    if isinstance(found, dict):
        return found
    raise ValueError(f"metadata is no JSON object: {str(cell)[:100]}")
