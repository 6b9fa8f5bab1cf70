"""Lines of JSON as scores: numbered rows that know their ids, and batches of them."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from shared.ids import uuid7


class Row(msgspec.Struct, frozen=True):
    """One line, from 1. `score` is its JSON with an id, or None when the line is no JSON object."""

    line: int
    id: str
    score: bytes | None
    fault: str = ""


def rows_of(lines: Iterable[bytes], make_id: Callable[[int], str]) -> Iterator[Row]:
    """Yield a row for each line that isn't blank. A row without an id gets `make_id(line number)`."""
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield _row(number, line, make_id)


def random_id(_line: int) -> str:
    return uuid7()


def batches(rows: Iterable[Row], size: int) -> Iterator[list[Row]]:
    iterator = iter(rows)
    while batch := list(itertools.islice(iterator, size)):
        yield batch


def _row(number: int, line: bytes, make_id: Callable[[int], str]) -> Row:
    try:
        score = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
    except msgspec.DecodeError as error:
        return Row(number, "", None, fault=str(error))
    if "id" not in score:
        score = {"id": msgspec.Raw(msgspec.json.encode(make_id(number))), **score}
    return Row(number, _text(score["id"]), msgspec.json.encode(score))


def _text(raw: msgspec.Raw) -> str:
    value: Any = msgspec.json.decode(raw)
    return value if isinstance(value, str) else ""
